// mercurius answering lists from memory, without HTTP: prints milliseconds of processor time per request as JSON.
// The arguments are a file with the questions, rounds, requests per round, and "jit" or "plain".
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import mercurius from 'mercurius'

const [questionsFile, rounds, perRound, jit] = process.argv.slice(2)
const questions = JSON.parse(readFileSync(questionsFile, 'utf8'))

const schema = `
  enum InvoiceStatus { DRAFT OPEN PAID VOID UNCOLLECTIBLE }
  enum PaymentStatus { PENDING SUCCEEDED FAILED }
  type Money { amount: String! currency: String! }
  type Customer { id: ID! name: String! email: String! }
  type Payment { id: ID! status: PaymentStatus! amount: Money! occurredAt: String! }
  type PaymentConnection { nodes: [Payment!]! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Invoice {
    id: ID! number: String status: InvoiceStatus! total: Money! dueDate: String
    customer: Customer! payments(first: Int): PaymentConnection!
  }
  type InvoiceConnection { nodes: [Invoice!]! pageInfo: PageInfo! }
  type Workspace { id: ID! name: String! }
  type Viewer { workspace: Workspace! }
  type Query { invoices(first: Int): InvoiceConnection! invoice(id: ID!): Invoice viewer: Viewer! }
`
const customers = new Map(
  Array.from({ length: 20 }, (_, n) => [`cus_${n}`, { id: `cus_${n}`, name: `Customer ${n}`, email: `c${n}@example.com` }]),
)
const invoices = Array.from({ length: 1000 }, (_, n) => ({
  id: `inv_${n}`, number: `INV-${n}`, status: 'PAID', dueDate: '2026-12-01', customerId: `cus_${n % 20}`,
  total: { amount: '120.50', currency: 'EUR' },
}))
const payments = new Map(
  invoices.map(({ id, total }) => [
    id,
    [{ id: `pay_${id}`, status: 'SUCCEEDED', amount: total, occurredAt: '2026-11-01T12:00:00Z' }],
  ]),
)
const resolvers = {
  Query: {
    invoices: (_root, { first = 20 }) => ({
      nodes: invoices.slice(0, first),
      pageInfo: { hasNextPage: true, endCursor: invoices[first - 1].id },
    }),
    invoice: () => invoices[0],
    viewer: () => ({ workspace: { id: 'ws_1', name: 'Acme' } }),
  },
  Invoice: {
    customer: ({ customerId }) => customers.get(customerId),
    payments: ({ id }, { first = 20 }) => ({ nodes: payments.get(id).slice(0, first) }),
  },
}

const app = Fastify()
app.register(mercurius, { schema, resolvers, ...(jit === 'jit' ? { jit: 1 } : {}) })
await app.ready()

const ask = async (document, variables) => JSON.stringify(await app.graphql(document, {}, variables))

const found = {}
for (const [name, { document, variables }] of Object.entries(questions)) {
  for (let warm = 0; warm < 50; warm += 1) await ask(document, variables)
  if (!('data' in JSON.parse(await ask(document, variables)))) throw new Error(`mercurius did not answer ${name}`)
  const took = []
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage()
    for (let n = 0; n < perRound; n += 1) await ask(document, variables)
    const { user, system } = process.cpuUsage(before)
    took.push((user + system) / perRound / 1000)
  }
  found[name] = took.sort((a, b) => a - b)[Math.floor(took.length / 2)]
}
console.log(JSON.stringify(found))
await app.close()
