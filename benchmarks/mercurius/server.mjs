// mercurius, set up as its documentation does: one subscription, told by POST /publish. The port is the only argument.
import Fastify from 'fastify'
import mercurius from 'mercurius'

const schema = `
  type Invoice { id: ID! number: String! status: String! }
  type Event { type: String! cursor: String! previousStatus: String status: String occurredAt: String! invoice: Invoice! }
  type Query { ready: Boolean! }
  type Subscription { events(status: [String!]): Event! }
`
const resolvers = {
  Query: { ready: () => true },
  Subscription: {
    events: { subscribe: (_root, _arguments, { pubsub }) => pubsub.subscribe('events') },
  },
}

const app = Fastify()
app.register(mercurius, { schema, resolvers, subscription: true, jit: 1 })
app.post('/publish', async (request) => {
  await app.graphql.pubsub.publish({ topic: 'events', payload: { events: request.body } })
  return { received: true }
})
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1' })
