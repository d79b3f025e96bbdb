// What an address keeps of a view: what is empty is left out of it. Pure.
export type Change<T> = { [K in keyof T]?: T[K] | "" | false | undefined };

export const changed = <T extends object>(before: T, change: Change<T>): T =>
  Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== "" && value !== false && value !== undefined)) as T;
