// Stage: submit, run and settle. Thread: any.
// Memory that goes from thread to thread with its task, without a message, where the addon can do that (src/moves.rs).

import { builtins } from './builtins'
import { isVouched } from './codec'
import { OwnSet } from './collections'
import { ThreadmillError } from './errors'
import { native } from './native-values'
import { IS_NODE } from './runtime'
import { copyOf, isMemory, isMovable } from './views'

const { clone, isMarkedAsUntransferable: isMarked, isView, lengthOfView, process, SharedArrayBuffer: Shared } = builtins

/** Whether the addon can do it. Others that do as Node does have another engine. */
let canMove: boolean | undefined

export function mayMove(): boolean {
  canMove ??= askAddon()
  return canMove
}

function askAddon(): boolean {
  return IS_NODE && process.env.THREADMILL_MOVES !== 'off' && native.canMove()
}

let canClone: boolean | undefined

/** Whether the engine's serializer can be called. */
export function mayClone(): boolean {
  canClone ??= tryClone()
  return canClone
}

let canShare = false

function tryClone(): boolean {
  if (!mayMove() || !native.canClone()) return false
  canShare = native.canShare(new Shared(8))
  return true
}

/** Whether shared memory goes with the value that it is in, too. */
export function mayShare(): boolean {
  return mayClone() && canShare
}

/**
 * Moves a value out of this thread's reach, if all that `list` names are buffers, and it is one of them, a typed array over
 * one, or an object of which the engine knows all.
 * @returns its key for the addon, -1 when it has to be posted
 * @throws DataCloneError
 */
export function moveMemory(value: unknown, list: readonly object[]): number {
  const [buffer] = list as readonly [ArrayBuffer]
  if (list.length !== 1 || !isMemory(value, buffer)) return moveGroup(value, list)
  if (!mayMove()) return -1
  if (isMarked !== undefined) return isMarked(buffer) ? -1 : native.takeMemory(value, buffer)
  // Only a transfer knows whether the buffer may be transferred.
  const own: ArrayBufferView | ArrayBuffer = clone(value, { transfer: [buffer] })
  return native.takeMemory(own, 'buffer' in own ? own.buffer : own)
}

/** As `moveMemory`, for an object with memory in it. */
function moveGroup(value: unknown, list: readonly object[]): number {
  if (typeof value !== 'object' || value === null || !mayClone()) return -1
  // In plain loops: who replaces methods of arrays and sets moves memory, too.
  const known = new OwnSet<object>()
  for (let i = 0; i < list.length; i++) {
    const item = list[i] as object
    if (!isMovable(item) || known.has(item) || isMarked?.(item) === true) return -1
    known.add(item)
  }
  if (!isVouched(value)) return -1
  const buffers = list as readonly ArrayBuffer[]
  if (isMarked !== undefined) return native.takeGroup(value, buffers)
  const own = clone({ value, list: buffers }, { transfer: [...buffers] })
  const key = native.takeGroup(own.value, own.list)
  // Nothing in it can be refused.
  if (key < 0) throw new ThreadmillError('ERR_THREADMILL_SYSTEM', 'a value could not be moved')
  return key
}

/** The engine of Node 22 ends the process where memory of another thread changes its length: `transfer(length)`. */
const MAY_COPY = !builtins.isNode22
/** Memory of a view from this many bytes on is copied here and moved, instead of copied on both sides. */
const MUCH = 16 * 1024

/** Moves a copy of a typed array, if there is much of it; -1 as above. `given`: what may not be moved itself. */
export function moveCopy(view: unknown, given: unknown): number {
  if (!MAY_COPY || !isView(view) || lengthOfView.call(view) < MUCH || !mayMove()) return -1
  const own = view === given ? copyOf(view) : view
  // Nobody can have said of it that it must not be transferred.
  return own === undefined ? -1 : native.takeMemory(own, own.buffer)
}
