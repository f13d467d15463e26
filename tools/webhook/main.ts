/**
 * `npm run webhook [-- --port 9910 --host 127.0.0.1 --compact]`: prints each event as JSON on stdout.
 */
import { parseArgs } from "node:util"
import { pretty, startReceiver } from "./Receiver.ts"

const args = () => {
  try {
    return parseArgs({
      options: {
        port: { type: "string", default: "9910" },
        host: { type: "string", default: "127.0.0.1" },
        compact: { type: "boolean", default: false }
      }
    })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nUsage: npm run webhook [-- --port 9910 --host 127.0.0.1 --compact]\n`)
    return process.exit(2)
  }
}
const { values } = args()

const port = Number(values.port)
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  process.stderr.write(`Cannot listen: ${JSON.stringify(values.port)} is no port (0 to 65535).\n`)
  process.exit(2)
}

try {
  const receiver = await startReceiver({
    port,
    host: values.host,
    onEvent: (event) => process.stdout.write(`${values.compact ? event.body : pretty(event.body)}\n`)
  })
  process.stderr.write(`listening on :${receiver.port}...\n`)
  const stop = () => void receiver.close()
  process.once("SIGINT", stop)
  process.once("SIGTERM", stop)
} catch (error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
  process.stderr.write(`Cannot listen on ${values.host}:${port}: ${code}. Choose another port with --port.\n`)
  process.exit(1)
}
