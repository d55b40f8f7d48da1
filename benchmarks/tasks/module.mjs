// A module of small functions, for scenarios/modules.mjs.

export const next = (n) => n + 1
export const sum = (a, b) => a + b
export const total = ({ items }) => items.reduce((left, right) => left + right)
