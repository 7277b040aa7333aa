// node reading.mjs RECIPE URL KEY: does with a recipe of docs/use/reading.md what a frontend would, and prints what it was told.
import { ApolloClient, HttpLink, gql } from '@apollo/client'
import { Client, fetchExchange } from '@urql/core'
import { WebSocket } from 'ws'

globalThis.WebSocket ??= WebSocket // Node has none of its own before version 22

const [recipe, url, key] = process.argv.slice(2)
const load = (name) => import(`./${name}.mjs`)
const headers = { Authorization: `Bearer ${key}` }
const address = `${url}/graphql`
const { ask } = await load('ask')

const CUSTOMERS = `query Customers($first: Int, $after: String) {
  customers(first: $first, after: $after) {
    edges { cursor node { id name } }
    pageInfo { hasNextPage endCursor }
  }
}`
const CREATE = `mutation Create($input: CreateCustomerInput!) {
  createCustomer(input: $input) { __typename ... on CreateCustomerSuccess { customer { id name } } ... on Problem { code path } }
}`
const create = (name) => ask(url, key, CREATE, { input: { name, email: 'ada@example.com' } })
const eventCursor = async () => (await ask(url, key, '{ viewer { workspace { eventCursor } } }')).viewer.workspace.eventCursor
const names = ({ customers }) => customers.edges.map(({ node }) => node.name)
const onError = (error) => {
  throw error
}
const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A page of this server in a browser: addresses of its own, its origin, and cookies that it never sees. */
function inBrowser() {
  const fetchAnywhere = globalThis.fetch
  let cookie
  globalThis.fetch = async (path, { headers, ...init } = {}) => {
    const sent = { ...headers, Origin: url, ...(cookie && { Cookie: cookie }) }
    const response = await fetchAnywhere(url + path, { ...init, headers: sent })
    for (const set of response.headers.getSetCookie()) cookie = set.split(';')[0]
    return response
  }
}

const apollo = async () => {
  const { createCache } = await load('apollo-cache')
  return new ApolloClient({ cache: createCache(), link: new HttpLink({ uri: address, headers }) })
}
const urql = async (warnings) => {
  const { createCache } = await load('urql-cache')
  console.warn = (warning) => warnings.push(warning)
  return new Client({
    url: address,
    preferGetMethod: false,
    fetchOptions: { headers },
    exchanges: [createCache(), fetchExchange],
  })
}

const recipes = {
  async ask() {
    const refused = await ask(url, key, '{ invoices(first: 500) { nodes { id } } }').catch(({ code }) => code)
    return { refused, answered: await ask(url, key, '{ viewer { workspace { mode } } }') }
  },
  async pages() {
    const { invoices } = await load('pages')
    const found = []
    for await (const invoice of invoices(url, key, { status: ['DRAFT'] }, 2)) found.push(invoice.id)
    return found
  },
  async values() {
    const { inDays, inMoney, sum } = await load('values')
    return {
      money: [['19.90', 'USD'], ['800', 'JPY'], ['9007199254740993.10', 'USD']].map(([amount, currency]) => inMoney({ amount, currency }, 'en-US')),
      sum: String(sum([{ minorUnits: '9007199254740993' }, { minorUnits: '1' }])),
      day: inDays('2026-11-23', 'en-US'),
    }
  },
  async session() {
    inBrowser()
    const session = await load('session')
    const question = '{ viewer { workspace { mode } } }'
    return {
      wrong: await session.signIn(`${key}x`),
      right: await session.signIn(key),
      isSignedIn: await session.isSignedIn(),
      asked: await session.ask(question),
      left: (await session.signOut()).status,
      after: (await session.ask(question)).isSignedOut,
    }
  },
  async 'apollo-cache'() {
    const client = await apollo()
    const shown = client.watchQuery({ query: gql(CUSTOMERS), variables: { first: 2 } })
    const first = await client.query({ query: gql(CUSTOMERS), variables: { first: 2 } })
    const subscription = shown.subscribe(() => {})
    await shown.fetchMore({ variables: { after: first.data.customers.pageInfo.endCursor } })
    const problem = await client.mutate({ mutation: gql(CREATE), variables: { input: { name: '', email: 'ada@example.com' } } })
    subscription.unsubscribe()
    return { names: names(shown.getCurrentResult().data), problem: problem.data.createCustomer }
  },
  async 'urql-cache'() {
    const warnings = []
    const client = await urql(warnings)
    const page = (after) => client.query(CUSTOMERS, { first: 2, after }).toPromise()
    const first = await page()
    const joined = await page(first.data.customers.pageInfo.endCursor)
    const money = await client.query('{ totals { currency open { amount currency } } invoices { nodes { id total { amount } } } }', {}).toPromise()
    const problem = await client.mutation(CREATE, { input: { name: '', email: 'ada@example.com' } }).toPromise()
    return { names: names(joined.data), problem: problem.data.createCustomer, warnings, money: money.error?.message ?? null }
  },
  async 'asking-again'() {
    const { pacing } = await load('asking-again')
    const asked = []
    const refresh = pacing(() => asked.push(Date.now()))
    for (let told = 0; told < 10; told++) refresh()
    const atOnce = asked.length
    await until(() => asked.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 600))
    return { atOnce, asked: asked.length, isPaced: asked[1] - asked[0] >= 240 }
  },
  async 'apollo-live'() {
    const { keepFresh } = await load('apollo-live')
    const client = await apollo()
    let shown = []
    client.watchQuery({ query: gql(CUSTOMERS), variables: { first: 2 } }).subscribe(({ data }) => data && (shown = names(data)))
    await until(() => shown.length > 0)
    keepFresh(client, { url, key, after: await eventCursor(), onError })
    await create('Newest')
    await until(() => shown[0] === 'Newest')
    return shown
  },
  async 'urql-live'() {
    const { keepFresh } = await load('urql-live')
    const client = await urql([])
    let shown = []
    client.query(CUSTOMERS, { first: 2 }).subscribe(({ data }) => data && (shown = names(data)))
    await until(() => shown.length > 0)
    keepFresh(client, CUSTOMERS, { first: 2 }, { url, key, after: await eventCursor(), onError })
    await create('Newest')
    await until(() => shown[0] === 'Newest')
    return shown
  },
}

const told = await recipes[recipe]()
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0))
