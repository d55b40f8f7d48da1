// Stage: all. Thread: owner env.
// The files of the page: a fixed table, so that no path of a request ever reaches the file system.

import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** A file as it is sent. */
export interface PageFile {
  readonly type: string
  readonly body: Buffer
}

const HTML = 'text/html; charset=utf-8'
const CSS = 'text/css; charset=utf-8'
const SCRIPT = 'text/javascript; charset=utf-8'

const TABLE: readonly (readonly [url: string, name: string, type: string])[] = [
  ['/', 'index.html', HTML],
  ['/page.css', 'page.css', CSS],
  ['/page.js', 'page.js', SCRIPT],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
  ['/uplot.css', 'uPlot.min.css', CSS],
  ['/uplot.js', 'uPlot.iife.min.js', SCRIPT],
]

/** Reads all of them; by path. */
export async function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const folder = path.join(__dirname, 'page')
  const read = TABLE.map(async ([url, name, type]): Promise<[string, PageFile]> => {
    return [url, { type, body: await readFile(path.join(folder, name)) }]
  })
  return new Map(await Promise.all(read))
}
