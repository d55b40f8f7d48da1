// Gives back what it gets.
export const run = (input) => input
export default run
