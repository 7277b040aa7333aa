// node follow.mjs RECIPE URL KEY AFTER: follows by a recipe and prints each cursor, until its input ends.
import { WebSocket } from 'ws'

globalThis.WebSocket ??= WebSocket // Node has none of its own before version 22

const [recipe, url, key, after] = process.argv.slice(2)
const print = (told) => process.stdout.write(`${JSON.stringify(told)}\n`)
const { follow } = await import(`./${recipe}.mjs`)

follow({
  url,
  key,
  after,
  onEvent: (event) => print({ cursor: event.cursor, type: event.type }),
  onError: (error) => print({ error: error?.message ?? error }),
})
process.stdin.on('end', () => process.exit(0)).resume()
