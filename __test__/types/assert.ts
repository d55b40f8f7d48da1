// Type-level assertions.

/** `true` when both types are the same, `any` and `unknown` told apart. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles only for `true`: `type _ = Assert<Same<A, B>>`. */
export type Assert<T extends true> = T

/** Compiles only when the value's type is exactly `T`: `exactly<number>()(value)`. */
export declare function exactly<T>(): <V>(value: V, ...proof: Same<T, V> extends true ? [] : [never]) => void
