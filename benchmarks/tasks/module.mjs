// A module of small functions, for module-workers.mjs.

export const next = (n) => n + 1
export const sum = (a, b) => a + b
export const total = ({ items }) => items.reduce((left, right) => left + right)
