// A strict reader of XML, as far as pictures need it: elements, attributes, text, the five entities.
import assert from 'node:assert/strict'

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const TOKEN = /<\?[^?]*\?>|<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|[^<]+/gy
const ATTRIBUTE = /([\w:-]+)="([^"]*)"/g

function decode(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no place for them
  assert.doesNotMatch(text, /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|>.*]]>/)
  return text.replace(/&([^;]*;?)/g, (_, name) => {
    const value = ENTITIES[name.slice(0, -1)]
    assert.ok(value !== undefined && name.endsWith(';'), `entity &${name}`)
    return value
  })
}

/** The root element of a document: `{ name, attributes, children, text }`. Fails where it is not well-formed. */
export function parseXml(source) {
  const root = { name: '', attributes: {}, children: [], text: '' }
  const stack = [root]
  TOKEN.lastIndex = 0
  for (let at = 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(source)
    assert.ok(match !== null, `not XML at ${at}: ${source.slice(at, at + 60)}`)
    const [token, close, name, attributes, empty] = match
    if (name === undefined) {
      if (!token.startsWith('<?')) stack.at(-1).text += decode(token)
      continue
    }
    if (close === '/') {
      assert.equal(stack.pop().name, name, `</${name}>`)
      assert.ok(stack.length > 0)
      continue
    }
    const pairs = [...attributes.matchAll(ATTRIBUTE)].map(([, key, value]) => [key, decode(value)])
    assert.equal(new Set(pairs.map(([key]) => key)).size, pairs.length, `an attribute is there twice: ${token}`)
    const element = { name, attributes: Object.fromEntries(pairs), children: [], text: '' }
    stack.at(-1).children.push(element)
    if (empty !== '/') stack.push(element)
  }
  assert.equal(stack.length, 1, `${stack.at(-1).name} has no end`)
  assert.equal(root.children.length, 1)
  assert.equal(root.text.trim(), '')
  return root.children[0]
}

/** All elements below one for which `wanted` holds, itself included. */
export function elements(element, wanted = () => true) {
  const found = element.children.flatMap((child) => elements(child, wanted))
  return wanted(element) ? [element, ...found] : found
}
