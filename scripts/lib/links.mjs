// Finds links that lead nowhere, in the pages of a built site and in Markdown files. Nothing is fetched: what leads out of
// the folder is looked at for its form only.
import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import Slugger from 'github-slugger'
import { Parser } from 'htmlparser2'
import MarkdownIt from 'markdown-it'

/**
 * @typedef {object} Page
 * @property {Set<string>} ids what a fragment may name
 * @property {string[]} links as they are written
 */

/** Where elements keep addresses. */
const ADDRESSES = ['href', 'src', 'poster', 'action', 'data']
const SCHEME = /^[a-z][a-z\d+.-]*:/i
/** `#10`, or `#10-20` as rustdoc marks lines of a source file, and `#L10` as GitHub does. */
const LINES = /^L?(\d+)(?:-L?(\d+))?$/

/**
 * @param {string} html
 * @returns {Page}
 */
function readHtml(html) {
  const page = { ids: new Set(), links: [] }
  const parser = new Parser({
    onopentag(name, attributes) {
      if (attributes.id !== undefined) page.ids.add(attributes.id)
      if (name === 'a' && attributes.name !== undefined) page.ids.add(attributes.name)
      // Crates that implement a trait of this one would write it: rustdoc names the file, there or not.
      if (name === 'script' && attributes.src?.includes('/trait.impl/')) return
      for (const address of ADDRESSES) if (attributes[address] !== undefined) page.links.push(attributes[address])
    },
  })
  parser.end(html)
  return page
}

/**
 * The same of Markdown, with the ids that GitHub gives headings.
 *
 * @param {string} text
 * @returns {Page}
 */
function readMarkdown(text) {
  const markdown = new MarkdownIt({ html: true })
  const slugger = new Slugger()
  markdown.core.ruler.push('ids', ({ tokens }) => {
    for (const [at, token] of tokens.entries()) {
      if (token.type !== 'heading_open') continue
      const words = tokens[at + 1].children.filter(({ type }) => type === 'text' || type === 'code_inline')
      token.attrSet('id', slugger.slug(words.map(({ content }) => content).join('')))
    }
  })
  return readHtml(markdown.render(text))
}

/**
 * The links of these files that lead nowhere: `file: link: why`, in the order of the files.
 *
 * @param {string} root links may not lead out of this folder
 * @param {readonly string[]} files paths from there: .html or .md
 * @returns {string[]}
 */
export function brokenLinks(root, files) {
  /** @type {Map<string, Page>} */
  const pages = new Map()
  const pageOf = (file) => {
    let page = pages.get(file)
    if (page === undefined) {
      const text = readFileSync(file, 'utf8')
      page = file.endsWith('.md') ? readMarkdown(text) : readHtml(text)
      pages.set(file, page)
    }
    return page
  }

  /** Why a link is broken, if it is. */
  const fault = (from, link) => {
    if (link.startsWith('//') || SCHEME.test(link)) return outsideFault(link)
    if (link.startsWith('/')) return 'it depends on where the files are put'
    const [, name, fragment] = /^([^?#]*)(?:\?[^#]*)?(?:#(.*))?$/s.exec(link)
    let target
    let id
    try {
      target = name === '' ? from : path.resolve(path.dirname(from), decodeURIComponent(name))
      id = decodeURIComponent(fragment ?? '')
    } catch {
      return 'it is no URL'
    }
    // A browser looks for the fragment as it is written first; rustdoc has ids with escapes in them.
    const ids = [fragment ?? '', id]
    if (path.relative(root, target).startsWith('..')) return 'it leads out of the folder'
    if (!existsSync(target)) return 'there is no such file'
    if (statSync(target).isDirectory() && from.endsWith('.html')) target = path.join(target, 'index.html')
    if (!existsSync(target)) return 'the folder has no index.html'
    if (id === '') return undefined
    if (statSync(target).isDirectory()) return 'a folder has no fragments'
    return fragmentFault(target, ids)
  }

  const fragmentFault = (target, names) => {
    if (/\.(?:html|md|svg)$/.test(target) && names.some((id) => pageOf(target).ids.has(id))) return undefined
    const lines = LINES.exec(names[0])
    if (lines === null) return `nothing in ${path.basename(target)} has that id`
    const last = Number(lines[2] ?? lines[1])
    // A page of rustdoc has an id for every line, any other file has the lines themselves.
    const has = target.endsWith('.html')
      ? pageOf(target).ids.has(String(last))
      : readFileSync(target, 'utf8').split('\n').length >= last
    return has ? undefined : `${path.basename(target)} has fewer lines`
  }

  return files.flatMap((file) => {
    const from = path.join(root, file)
    const faults = [...new Set(pageOf(from).links)].map((link) => [link, fault(from, link)])
    return faults.filter(([, why]) => why !== undefined).map(([link, why]) => `${file}: ${link}: ${why}`)
  })
}

function outsideFault(link) {
  if (link === 'javascript:void(0)' || link.startsWith('data:')) return undefined
  if (!URL.canParse(link)) return 'it is no URL'
  const { protocol, hostname } = new URL(link)
  if (protocol === 'mailto:') return undefined
  if (protocol !== 'https:' && protocol !== 'http:') return `${protocol} is not for the web`
  return hostname.includes('.') ? undefined : 'it names no host'
}
