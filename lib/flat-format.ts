// What flat.ts writes and flat-read.ts reads.
//
// A value is its length in words of 64 bits, that word included, and then one item after the other. The lower four bits of an
// item say what it is, the others are a number:
//
// | kind | number | what follows |
// |---|---|---|
// | CONSTANT | of what is in `CONSTANTS` | |
// | CONSTANT | of an error: from `ERROR` on, 4 times the place of its class in `builtins.errorClasses`, and what it has | its message if HAS_MESSAGE, its stack, its cause if HAS_CAUSE, as items |
// | INTEGER | the value itself | |
// | NUMBER | | the value |
// | TEXT | of a text that all threads share | |
// | CHARS | 4 times the length | the UTF-16 units, three to a word |
// | CHARS | the same, and ASCII or UTF16 | the units as they are in memory, of one byte or of two |
// | ARRAY | length | the elements |
// | NUMBERS | twice the length, and 1 if all are integers of 32 bits | the elements of an array, all numbers |
// | OBJECT | twice that of the text with its property names as JSON | the values of its properties |
// | OBJECT | the same, 1, and how many more there are from OTHERS_SHIFT on | the values of these, those of the others, and the names of the others |
// | SAME | of an object that is there already | |
// | DATE | | the time |
// | MAP | size | the keys and values in turns |
// | SET | size | the members |
// | BIGINT | | the lower 32 bits, and what is above them |
// | REGEXP | the flags, one bit each | the source, as an item |
// | BYTES | 32 times the length, the place of its class in views.ts, or DATA_VIEW, and SIXES or not | its bytes as they are, or six to a word |
// | BYTES | of a view of a part: the same of all, and PART | where the part begins, 16 times its length and the place of its class, and all bytes |
// | BYTES | of a buffer itself: the same, and WHOLE | the same |
// | BYTES | of memory that is there already: PART alone | its place among all memory so far, and what is said of a part, or WHOLE for its class |
// | RAW | length | bytes of V8's serializer; see codec.ts |
//
// TRACKED or CYCLIC is added to the first item when there is a SAME: else objects need not be counted. With TRACKED they are
// counted from 0 in the order of their ends, and made of what is in them; with CYCLIC in the order of their starts, and made
// before: then a SAME may be within what it means.

export const KINDS = {
  CONSTANT: 0,
  REGEXP: 1,
  BYTES: 2,
  NUMBERS: 3,
  INTEGER: 4,
  NUMBER: 5,
  TEXT: 6,
  CHARS: 7,
  ARRAY: 8,
  OBJECT: 9,
  SAME: 10,
  DATE: 11,
  MAP: 12,
  SET: 13,
  BIGINT: 14,
  RAW: 15,
} as const

/** In place of a class; see above. */
export const DATA_VIEW = 13
export const PART = 15
export const WHOLE = 14
export const SIXES = 16

/** Numbers of texts that all threads share are up to this. */
export const MOST_ID = 2 ** 14 - 1
/** That of the names of objects without properties; see src/texts.rs. */
export const EMPTY = 0
/** Where the number of other properties begins, in bits, and most of them. */
export const OTHERS_SHIFT = 15
export const MOST_NAMED = 2 ** 11 - 1

export const CONSTANTS = [undefined, null, false, true]
/** See above. */
export const ASCII = 1
export const UTF16 = 2
export const ERROR = CONSTANTS.length
export const HAS_MESSAGE = 1
export const HAS_CAUSE = 2

/** Above all that is added to a kind. */
export const TRACKED = 2 ** 30
export const CYCLIC = 2 ** 31
/** Added to that when there is memory that is there already: else memory need not be counted. */
export const SHARING = 2 ** 32

/** Properties of regular expressions, and what they are in their flags. */
export const FLAGS = [
  ['hasIndices', 'd'],
  ['global', 'g'],
  ['ignoreCase', 'i'],
  ['multiline', 'm'],
  ['dotAll', 's'],
  ['unicode', 'u'],
  ['unicodeSets', 'v'],
  ['sticky', 'y'],
] as const
