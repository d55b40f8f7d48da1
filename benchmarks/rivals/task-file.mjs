import { fileURLToPath } from 'node:url'

/** Path of a module of `tasks/`. */
export const taskFile = (name) => fileURLToPath(new URL(`../tasks/${name}.mjs`, import.meta.url))

/** Path of a worker that a rival wants to be written in its own way; it runs the module that `workerData` names. */
export const workerFile = (name) => fileURLToPath(new URL(`workers/${name}.mjs`, import.meta.url))

/** `workerData` of such a worker. */
export const workerDataOf = ({ task, data }) => ({
  module: new URL(`../tasks/${task}.mjs`, import.meta.url).href,
  moves: task === 'move',
  data,
})
