/** The progress line: on a terminal it is written over, elsewhere it comes each ten seconds. On stderr. */

const EVERY_MS = { terminal: 200, elsewhere: 10_000 }

export const progress = (): { readonly scenario: (name: string) => void; readonly say: (text: string) => void; readonly print: (line: string) => void } => {
  const terminal = process.stderr.isTTY
  const began = Date.now()
  let [head, last] = ["", 0]
  const clear = terminal ? "\r\u001B[K" : ""
  return {
    scenario: (name) => {
      head = name
      last = 0
    },
    say: (text) => {
      const now = Date.now()
      if (now - last < (terminal ? EVERY_MS.terminal : EVERY_MS.elsewhere)) return
      last = now
      const line = `[${head}] ${text} (${Math.round((now - began) / 1_000)} s)`
      process.stderr.write(terminal ? `${clear}${line.slice(0, process.stderr.columns - 1)}` : `${line}\n`)
    },
    print: (line) => void process.stderr.write(`${clear}${line}\n`)
  }
}
