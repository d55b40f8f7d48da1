// The ceiling for tasks: promises that are made and settled in batches like those of a pool, but nothing is sent anywhere.

export const CEILING = 'promises, no threads'

export function promisePool() {
  let inputs = []
  let resolvers = []
  const settle = () => {
    const [given, waiting] = [inputs, resolvers]
    inputs = []
    resolvers = []
    for (let i = 0; i < given.length; i++) waiting[i](given[i])
  }
  return {
    run: (input) =>
      new Promise((resolve) => {
        if (inputs.length === 0) setImmediate(settle)
        inputs.push(input)
        resolvers.push(resolve)
      }),
    close: async () => undefined,
  }
}
