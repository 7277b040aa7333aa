// node audits.mjs URL KEY: runs the audits of graphql-http and prints what came of each.
import { auditServer } from 'graphql-http'

const [url, key] = process.argv.slice(2)
const results = await auditServer({
  url: `${url}/graphql`,
  fetchFn: (input, { headers, ...init } = {}) => fetch(input, { ...init, headers: { ...headers, authorization: `Bearer ${key}` } }),
})
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))))
