// Whether a part of the page could not be loaded: its file is of a version that was replaced, or there is no answer. Pure.
// Chrome; Firefox; Safari; vite, for a style of that part.
const WORDS = /^(Failed to fetch dynamically imported module|error loading dynamically imported module|Importing a module script failed|Unable to preload CSS)\b/;

export const isGone = (error: unknown): boolean => error instanceof Error && WORDS.test(error.message);
