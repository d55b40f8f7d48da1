// A task that submits as many as its input says to its own pool, and awaits them; they give back their inputs.
export { default } from './echo.mjs'

export const fanOut = async (total, client) => sum(Array.from({ length: total }, (_, index) => client.run(index)))

/** The same with handles. */
export const fanOutTasks = async (total, client) =>
  sum(Array.from({ length: total }, (_, index) => client.addTask(index)))

async function sum(outputs) {
  return (await Promise.all(outputs)).reduce((total, output) => total + output, 0)
}
