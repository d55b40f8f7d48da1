// A task that submits as many as its input says to its own pool, and awaits them; they give back their inputs.
export { default } from './echo.mjs'

export async function fanOut(total, client) {
  const outputs = await Promise.all(Array.from({ length: total }, (_, index) => client.addTask(index)))
  return outputs.reduce((sum, output) => sum + output, 0)
}
