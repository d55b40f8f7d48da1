// Stage: submit and settle. Thread: any env, the owner and its JS workers alike.
// Which values JSON text loses nothing of.

import { builtins } from './builtins'
import { isKnown } from './instances'

const { arrayPrototype, getOwnPropertyDescriptor, getPrototypeOf, isArray, isView, keys, objectPrototype } = builtins
const { isDate, isMap, isModuleNamespaceObject, isNativeError, isPromise, isProxy, isRegExp, isSet } = builtins
const { isAnyArrayBuffer, isArgumentsObject, isBoxedPrimitive, isWeakMap, isWeakSet } = builtins

// Beyond these bounds V8's serializer is quicker, or close to it.
const MOST_NODES = 64
const MOST_TEXT = 1024
/** Digits take their time: what a number that is no small integer counts for. */
const FRACTION = 4
const MOST_DEPTH = 16

/** What is left of the bounds, and the objects so far. */
interface Walk {
  nodes: number
  text: number
  readonly seen: object[]
  count: number
  instances: boolean
}

/** What becomes of a value as JSON text. */
export const LOST = 0
export const WHOLE = 1
/** It has instances of classes, which may be marked as not to be cloned. */
export const WITH_INSTANCES = 2

/** Whether JSON text loses nothing of `value`: one of the three above. Quick: it decides the speed of small objects. */
export function fitOf(value: object): typeof LOST | typeof WHOLE | typeof WITH_INSTANCES {
  // A descriptor of a getter has no `value`, but would inherit this one.
  if ('value' in objectPrototype) return LOST
  const walk = { nodes: MOST_NODES, text: MOST_TEXT, seen: [], count: 0, instances: false }
  if (!isTree(value, MOST_DEPTH, walk)) return LOST
  return walk.instances ? WITH_INSTANCES : WHOLE
}

/**
 * Whether `object` is a tree of plain objects, instances of known classes and dense arrays without anything that JSON leaves out or changes.
 *
 * What it does not see: objects of other classes whose prototype has been replaced by `Object.prototype` or null and
 * that have enumerable properties too.
 */
function isTree(object: object, depth: number, walk: Walk): boolean {
  if (isProxy(object)) return false
  for (let i = 0; i < walk.count; i++) if (walk.seen[i] === object) return false
  walk.seen[walk.count++] = object
  const prototype = getPrototypeOf(object)
  const array = isArray(object)
  if (array && (prototype !== arrayPrototype || object.length > walk.nodes)) return false
  // Of memory the names are as many as it has elements.
  if (!array && isView(object)) return false
  if (!array && prototype !== objectPrototype && prototype !== null) {
    if (!isKnown(prototype)) return false
    walk.instances = true
  }
  const names = keys(object)
  walk.nodes -= names.length + 1
  if (array) {
    if (object.length !== names.length) return false
    // Indices come first: when the last name is one, all are.
    if (names.length > 0 && names[names.length - 1] !== `${names.length - 1}`) return false
  } else {
    if (prototype === null && (names.length === 0 || isSpecial(object, names))) return false
    if (isArgumentsObject(object) || (names.length === 0 && isOtherClass(object))) return false
  }
  if (walk.nodes < 0 || 'toJSON' in object) return false
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    walk.text -= name.length
    const member: unknown = getOwnPropertyDescriptor(object, name)?.value
    switch (typeof member) {
      case 'string':
        walk.text -= member.length
        if (walk.text < 0) return false
        break
      case 'number':
        // Neither NaN nor an infinity nor -0.
        if (member - member !== 0 || (member === 0 && 1 / member < 0)) return false
        if ((member | 0) !== member) walk.nodes -= FRACTION
        break
      case 'boolean':
        break
      case 'object':
        if (member !== null && (depth === 0 || !isTree(member, depth - 1, walk))) return false
        break
      default:
        // Also a getter.
        return false
    }
  }
  return walk.nodes >= 0
}

/** Objects without prototype that are not cloned: modules, and what `JSON.rawJSON` gives. */
function isSpecial(object: object, names: readonly string[]): boolean {
  return isModuleNamespaceObject(object) || (names.length === 1 && names[0] === 'rawJSON')
}

/** Whether an object without members is not the plain one that its prototype makes it look like. */
function isOtherClass(object: object): boolean {
  if (isDate(object) || isRegExp(object) || isMap(object) || isSet(object) || isNativeError(object)) return true
  if (isBoxedPrimitive(object) || isView(object) || isAnyArrayBuffer(object)) return true
  return isPromise(object) || isWeakMap(object) || isWeakSet(object)
}
