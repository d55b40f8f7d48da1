// Stage: after settle. Thread: main.
// Puts files of equal contents together.

import { compare } from './file-path'
import type { HashedFile } from './hash'
import type { FoundFile } from './walk'

/** Two or more files of equal contents. */
export interface Group {
  readonly digest: string
  /** Bytes of one of them. */
  readonly size: number
  /** By path. */
  readonly files: readonly FoundFile[]
  /** Bytes that keeping one of them would free. */
  readonly redundantBytes: number
}

/** The groups, those with the most redundant bytes first. */
export function groupDuplicates(hashed: readonly HashedFile[]): Group[] {
  const byDigest = new Map<string, FoundFile[]>()
  for (const { file, digest } of hashed) {
    const files = byDigest.get(digest)
    if (files === undefined) byDigest.set(digest, [file])
    else files.push(file)
  }
  const groups: Group[] = []
  for (const [digest, files] of byDigest) {
    if (files.length < 2) continue
    files.sort((a, b) => compare(a.path, b.path))
    const size = files[0]?.size ?? 0
    groups.push({ digest, size, files, redundantBytes: size * (files.length - 1) })
  }
  return groups.sort((a, b) => b.redundantBytes - a.redundantBytes || compareFirst(a, b))
}

function compareFirst(a: Group, b: Group): number {
  return compare(a.files[0]?.path ?? '', b.files[0]?.path ?? '')
}
