// Stage: all. Thread: main and JS workers.
// Which files are text, told by their extensions, and which of their words name nothing.

import path from 'node:path'
import type { FilePath } from './file-path'

const C_LIKE =
  'abstract and bool boolean break byte case catch char class const continue decltype default delete double else enum ' +
  'explicit export extends extern false final finally float for foreach func function goto if implements import in ' +
  'include inline int interface internal is let long namespace new nil null nullptr operator or override package ' +
  'private protected public readonly return sealed short signed sizeof static static_cast std string struct super ' +
  'switch synchronized template this throw throws true try typedef typename uint union unsigned using val var virtual ' +
  'void volatile where while'
const JAVASCRIPT =
  'any as async await bigint boolean break case catch class const continue debugger declare default delete do else enum ' +
  'export extends false finally for from function get if implements import in instanceof interface keyof let namespace ' +
  'never new null number object of private protected public readonly return set static string super switch symbol this ' +
  'throw true try type typeof undefined unknown var void while with yield'
const PYTHON =
  'False None True and as assert async await break class continue def del elif else except finally for from global if ' +
  'import in is lambda nonlocal not or pass raise return self try while with yield'
const RUST =
  'Self as async await bool break char const continue crate dyn else enum extern false fn for i16 i32 i64 i8 if impl in ' +
  'isize let loop match mod move mut pub ref return self static str struct super trait true type u16 u32 u64 u8 unsafe ' +
  'use usize where while f32 f64'
const SHELL =
  'case do done echo elif else esac exit export fi for function if in local return set shift then unset until while'
const SCRIPT =
  'and begin class def do else elsif elseif end ensure false for function if in local module my nil not or our package ' +
  'print require rescue return self sub then true unless until use when while yield'
const SQL =
  'and as by create delete from group in insert into is join key left not null on or order primary select set table ' +
  'update values where AND AS BY CREATE DELETE FROM GROUP IN INSERT INTO IS JOIN KEY LEFT NOT NULL ON OR ORDER PRIMARY ' +
  'SELECT SET TABLE UPDATE VALUES WHERE'
const PROSE =
  'The This You all and any are but can for from has have its may not one that the this was when which will with you your'
const DATA = 'false null true'

const FAMILIES: readonly (readonly [extensions: string, keywords: string])[] = [
  ['c cc cpp cs cu cxx dart go gradle groovy h hh hpp hxx java kt kts m mm php proto scala swift', C_LIKE],
  ['astro cjs cts js jsx mjs mts svelte ts tsx vue', JAVASCRIPT],
  ['py pyi pyx', PYTHON],
  ['rs', RUST],
  ['bash bat cmake cmd fish mk ps1 sh zsh', SHELL],
  ['el ex exs hs jl lua ml pl pm r rb tcl', SCRIPT],
  ['sql', SQL],
  ['adoc log markdown md mdx rst tex txt', PROSE],
  ['cfg conf css csv graphql htm html ini json json5 jsonc jsonl less sass scss svg toml tsv xml yaml yml', DATA],
]

/** By extension, with its dot and in lower case: the words that are no names there. */
const KEYWORDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  FAMILIES.flatMap(([extensions, keywords]) => {
    // Comments are prose.
    const words = new Set(`${keywords} ${PROSE}`.split(' '))
    return extensions.split(' ').map((extension) => [`.${extension}`, words] as const)
  }),
)

/** The extension of a text file, in lower case; `undefined` for any other file. */
export function textExtension(file: FilePath): string | undefined {
  // One character per byte: the extensions that matter are ASCII.
  const extension = path.extname(typeof file === 'string' ? file : file.toString('latin1')).toLowerCase()
  return KEYWORDS.has(extension) ? extension : undefined
}

/** The words that are no names in files with this extension. */
export function keywordsOf(extension: string): ReadonlySet<string> {
  return KEYWORDS.get(extension) ?? new Set()
}
