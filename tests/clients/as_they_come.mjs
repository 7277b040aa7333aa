// node as_they_come.mjs CLIENT URL KEY: asks, changes and follows with a client as it comes, and prints what it was told.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { Client, fetchExchange } from '@urql/core'
import { createHash } from 'node:crypto'
import { createClient as createSSE } from 'graphql-sse'
import { createClient as createWS } from 'graphql-ws'
import { WebSocket } from 'ws'
import { createNetwork } from './relay.mjs'

globalThis.WebSocket ??= WebSocket

const [name, url, key] = process.argv.slice(2)
const address = `${url}/graphql`
const headers = { Authorization: `Bearer ${key}` }
const ASK = 'query Ask { viewer { workspace { name } } }'
const CHANGE = `mutation Change($input: CreateCustomerInput!) {
  createCustomer(input: $input) { ... on CreateCustomerSuccess { customer { name } } ... on Problem { code } }
}`
const FOLLOW = 'subscription Follow { events { cursor type } }'
const input = { name, email: 'ada@example.com' }

const settled = (observable) =>
  new Promise((resolve, reject) => observable.subscribe({ next: resolve, error: reject }))

const overSocket = () =>
  createWS({ url: address.replace(/^http/, 'ws'), connectionParams: { authorization: headers.Authorization } })
const sha256 = (text) => createHash('sha256').update(text).digest('hex')

const speaking = (client) => ({
  ask: () => settled({ subscribe: (sink) => client.subscribe({ query: ASK }, { ...sink, complete: () => {} }) }),
  change: () =>
    settled({ subscribe: (sink) => client.subscribe({ query: CHANGE, variables: { input } }, { ...sink, complete: () => {} }) }),
  follow: (next) => client.subscribe({ query: FOLLOW }, { next, error: console.error, complete: () => {} }),
})
const apollo = (link) => {
  const client = new ApolloClient({ cache: new InMemoryCache(), link })
  return {
    ask: () => client.query({ query: gql(ASK) }),
    change: () => client.mutate({ mutation: gql(CHANGE), variables: { input } }),
    follow: (next) => client.subscribe({ query: gql(FOLLOW) }).subscribe({ next, error: console.error }),
  }
}
const http = () => new HttpLink({ uri: address, headers })
const clients = {
  'graphql-ws': () => speaking(overSocket()),
  'graphql-sse': () => speaking(createSSE({ url: address, headers })),
  'apollo over multipart': () => apollo(http()),
  'apollo over a socket': () => apollo(new GraphQLWsLink(overSocket())),
  'apollo with persisted queries': () => apollo(new PersistedQueryLink({ sha256 }).concat(http())),
  urql: () => {
    const client = new Client({
      url: address,
      fetchOptions: { headers },
      exchanges: [fetchExchange],
      fetchSubscriptions: true,
    })
    return {
      ask: () => client.query(ASK, {}).toPromise(),
      change: () => client.mutation(CHANGE, { input }).toPromise(),
      follow: (next) => client.subscription(FOLLOW, {}).subscribe(next),
    }
  },
  relay: () => {
    const network = createNetwork(url, key)
    const execute = (text, operationKind, variables = {}) =>
      network.execute({ text, name: text.match(/\w+ (\w+)/)[1], operationKind, id: null, metadata: {} }, variables, {})
    return {
      ask: () => execute(ASK, 'query').toPromise(),
      change: () => execute(CHANGE, 'mutation', { input }).toPromise(),
      follow: (next) => execute(FOLLOW, 'subscription').subscribe({ next, error: console.error }),
    }
  },
}

const client = clients[name]()
const followed = new Promise((resolve) => client.follow(({ data }) => data && resolve(data)))
const asked = (await client.ask()).data
let changed
const changing = setInterval(async () => (changed = (await client.change()).data), 200) // until it is seen
const event = await followed
clearInterval(changing)
console.log(JSON.stringify({ asked, changed: changed ?? (await client.change()).data, event }))
process.exit(0)
