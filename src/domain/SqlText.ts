/** Names and texts inside a statement, for what takes no parameters. As Postgres reads them with `standard_conforming_strings`. */

/** Keeps its case and whatever is in it. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
