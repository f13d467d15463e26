/** The version of package.json; `test/unit/structure.test.ts` holds the two together. */
export const version = "0.1.0"
