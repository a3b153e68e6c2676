import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import type { RegistryLog } from '../../registry/log.ts'
import { usage } from '../arguments.ts'
import type { Command } from '../command.ts'
import { printable } from '../printable.ts'
import { openSession, type Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'

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
    const { host, port } = parseListen(args.value('listen') ?? session.settings.listen)
    const { createRegistryApp } = await import('../../registry/app.ts')
    const { startRegistry } = await import('../../registry/serve.ts')
    const { createRepositoryStore } = await import('../../registry/store-repositories.ts')
    const repositories = createRepositoryStore({ store: session.store })
    const app = createRegistryApp({ repositories, log: faultLog(terminal) })
    const registry = await startRegistry({ app, host, port })
    terminal.stdout.write(greeting(registry.address, session))
    if (!terminal.signal.aborted) await once(terminal.signal, 'abort')
    terminal.stdout.write('closing: transfers under way may end\n')
    await registry.close()
  },
}

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` for every address. @throws CliError `usage` */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s]*):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535)
    throw usage(command, `--listen is HOST:PORT, not ${JSON.stringify(text)}`)
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return { host: host === '' ? '0.0.0.0' : host, port }
}

function greeting(
  { host, port }: { readonly host: string; readonly port: number },
  { store, settings }: Session,
): string {
  const everywhere = host === '0.0.0.0' || host === '::'
  const example = exampleName(store)
  const pull = (address: string): string =>
    `docker pull ${address.includes(':') ? `[${address}]` : address}:${port}/${example}`
  const others = everywhere ? lanAddresses() : isLoopback(host) ? [] : [host]
  const local = everywhere ? '127.0.0.1' : host
  const lines = [
    `serving ${store.root} on http://${local.includes(':') ? `[${local}]` : local}:${port}`,
    ...(everywhere || isLoopback(host) ? [`  from this machine:    ${pull(local)}`] : []),
    ...others.map(address => `  from another machine: ${pull(address)}`),
  ]
  if (others.length > 0)
    lines.push(
      `  (its engine needs "insecure-registries": ["${others[0]}:${port}"] in daemon.json, for this is plain HTTP)`,
    )
  else
    lines.push(
      `  from another machine: not reachable; serve with --listen 0.0.0.0:${settings.listen.split(':').at(-1)}`,
    )
  return `${lines.join('\n')}\n`
}

/** An image of our own to show in the line, if there is one. */
function exampleName(store: Session['store']): string {
  const own = store.metadata
    .listAllTags()
    .find(({ repository }) => !/^[^/]*[.:]|^localhost\//.test(repository))
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

function faultLog(terminal: Terminal): RegistryLog {
  return {
    failed({ method, url }, cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      terminal.stderr.write(`fault: ${printable(`${method} ${url}: ${message}`)}\n`)
    },
  }
}
