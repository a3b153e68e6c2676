import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { parseReference } from '../../oci/reference.ts'
import type { Command } from '../command.ts'
import { type Address, formatAddress, isEveryAddress, localAddress, parseListen } from '../listen.ts'
import { wireRegistry } from '../registry-wiring.ts'
import { openSession, type Session } from '../session.ts'

export const command: Command = {
  name: 'serve',
  summary: 'Serve the images of the store as a registry',
  usage: '[OPTIONS]',
  details: `Every image of the store can be pulled, and what is pushed is in the store. Several processes may serve one store.
There is no login and no TLS yet: listen only where everyone may read, write and delete.`,
  options: {
    listen: {
      value: 'HOST:PORT',
      help: 'Where to listen (default 127.0.0.1:5000; 0.0.0.0:5000 for the whole network)',
    },
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    using session = await openSession(args, terminal)
    const { host, port } = parseListen(session.settings.listen)
    const { createRegistryApp } = await import('../../registry/app.ts')
    const { startRegistry } = await import('../../registry/serve.ts')
    const app = createRegistryApp(await wireRegistry(session, terminal))
    const registry = await startRegistry({ app, host, port })
    terminal.stdout.write(greeting(registry.address, session))
    if (!terminal.signal.aborted) await once(terminal.signal, 'abort')
    const notice = setTimeout(() => terminal.stdout.write(CLOSING), NOTICE_AFTER_MS)
    try {
      await registry.close()
    } finally {
      clearTimeout(notice)
    }
  },
}

/** Without transfers under way, closing takes less. */
const NOTICE_AFTER_MS = 200
const CLOSING = 'closing: transfers under way may end, for some seconds\n'

function greeting(address: Address, { store }: Session): string {
  const { host, port } = address
  const example = exampleName(store)
  const pull = (from: string): string => `docker pull ${formatAddress({ host: from, port })}/${example}`
  const local = localAddress(address)
  const others = isEveryAddress(host) ? lanAddresses() : isLoopback(host) ? [] : [host]
  const lines = [
    `serving ${store.root} on http://${formatAddress(local)}`,
    ...(isEveryAddress(host) || isLoopback(host) ? [`  from this machine:    ${pull(local.host)}`] : []),
    ...others.map(other => `  from another machine: ${pull(other)}`),
  ]
  const [other] = others
  lines.push(
    other === undefined
      ? `  from another machine: not reachable; serve with --listen 0.0.0.0:${port}`
      : `  (its engine needs "insecure-registries": ["${formatAddress({ host: other, port })}"] in daemon.json, for this is plain HTTP)`,
  )
  return `${lines.join('\n')}\n`
}

/** An image of our own to show in the line, if there is one. */
function exampleName({ metadata }: Session['store']): string {
  const own = metadata
    .listAllTags()
    .find(({ repository }) => parseReference(repository).registry === undefined)
  return own === undefined ? 'NAME' : `${own.repository}:${own.tag}`
}

function lanAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
