// Counts in the first byte that the task was here. Who moves the memory back, each in its own way, is told beside it.
export function run(bytes) {
  bytes[0]++
  return bytes
}
