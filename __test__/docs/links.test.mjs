// The checker of links: it must notice what leads nowhere, and nothing else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenLinks } from '../../scripts/lib/links.mjs'
import { temporaryFolder, writeTree } from '../main-job/helpers.mjs'

/** The links of one page among other files that lead nowhere, each with why. */
function faults(t, page, text, others = {}) {
  const folder = temporaryFolder(t)
  writeTree(folder, { [page]: text, ...others })
  return brokenLinks(folder, [page]).map((line) => {
    assert.ok(line.startsWith(`${page}: `))
    return line.slice(page.length + 2)
  })
}

const anchors = (...links) => links.map((link) => `<a href="${link}">x</a>`).join('\n')

test('links of a site that lead somewhere', (t) => {
  const text = `<h1 id="top">T</h1><a name="old"></a><img src="media/p%20q.png">${anchors(
    '#top',
    '#old',
    'guides/',
    'guides/index.html#a%20b',
    'guides/index.html#x%3Cy%3E',
    'guides/index.html?page=1#7-8',
    './icons.svg#cross',
    '',
    'https://example.org/#anything',
    'mailto:someone@example.org',
    'javascript:void(0)',
  )}`
  const others = {
    'media/p q.png': '',
    'guides/index.html': '<p id="a b"><p id="x%3Cy%3E"><p id="7"><p id="8">',
    'icons.svg': '<svg><g id="cross"/></svg>',
  }
  assert.deepEqual(faults(t, 'index.html', text, others), [])
})

test('links of a site that lead nowhere', (t) => {
  const text = `<img src="gone.png"><script src="gone.js"></script>${anchors(
    'gone.html',
    '#gone',
    'other.html#gone',
    'other.html#9',
    'empty/',
    '../beside.html',
    '/other.html',
    'other.html%',
    'http://',
    'https://word/',
    'htps://example.org/',
  )}`
  assert.deepEqual(faults(t, 'index.html', text, { 'other.html': '<p id="here">', 'empty/file.txt': '' }), [
    'gone.png: there is no such file',
    'gone.js: there is no such file',
    'gone.html: there is no such file',
    '#gone: nothing in index.html has that id',
    'other.html#gone: nothing in other.html has that id',
    'other.html#9: other.html has fewer lines',
    'empty/: the folder has no index.html',
    '../beside.html: it leads out of the folder',
    '/other.html: it depends on where the files are put',
    'other.html%: it is no URL',
    'http://: it is no URL',
    'https://word/: it names no host',
    'htps://example.org/: htps: is not for the web',
  ])
})

test('links of Markdown that lead somewhere', (t) => {
  const text = [
    '# The `code` & more: a_b',
    '## Twice\n## Twice',
    '[a](#the-code--more-a_b) [b](#twice-1) [c](docs/) [d](docs/page.md#über-uns) [e][ref] [f](code.js#L1-L2)',
    '![g](p.png) <https://example.org> <a href="docs/page.md">h</a> <a id="own"></a> [i](#own)',
    '`[not](a-link.md)`\n\n```\n[nor](this.md)\n```\n',
    '[ref]: docs/page.md "title"',
  ]
  const others = { 'docs/page.md': 'Über uns\n===', 'code.js': 'one\ntwo\n', 'p.png': '' }
  assert.deepEqual(faults(t, 'README.md', text.join('\n\n'), others), [])
})

test('links of Markdown that lead nowhere', (t) => {
  const text = [
    '# Title',
    '[a](#titel) [b](page.md#gone) [c](gone.md) [d][ref] [e](code.js#L4) [f](code.js#L1-L9) ![g](gone.png)',
    '<a href="gone.html">h</a> [i](docs#part) [j](page.md#Here)',
    '[ref]: also-gone.md',
  ]
  const others = { 'page.md': '# Here', 'code.js': 'one\ntwo\n', 'docs/file.md': '' }
  assert.deepEqual(faults(t, 'README.md', text.join('\n\n'), others), [
    '#titel: nothing in README.md has that id',
    'page.md#gone: nothing in page.md has that id',
    'gone.md: there is no such file',
    'also-gone.md: there is no such file',
    'code.js#L4: code.js has fewer lines',
    'code.js#L1-L9: code.js has fewer lines',
    'gone.png: there is no such file',
    'gone.html: there is no such file',
    'docs#part: a folder has no fragments',
    'page.md#Here: nothing in page.md has that id',
  ])
})

test('every page is looked at, and a link counts once for each', (t) => {
  const folder = temporaryFolder(t)
  writeTree(folder, { 'a.html': anchors('x', 'x'), 'b/c.md': '[x](x) [a](../a.html)' })
  const why = 'there is no such file'
  assert.deepEqual(brokenLinks(folder, ['a.html', 'b/c.md']), [`a.html: x: ${why}`, `b/c.md: x: ${why}`])
})
