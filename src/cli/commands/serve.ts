import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import { parseReference } from '../../oci/reference.ts'
import type { Command } from '../command.ts'
import { SERVE_OPTIONS, serveSettings } from '../config/serve.ts'
import { startCollection } from '../serve/collection.ts'
import { createCollectionMetrics } from '../serve/collection-metrics.ts'
import { hostAddresses } from '../serve/host-names.ts'
import { type Address, formatAddress, isEveryAddress, localAddress, parseListen } from '../serve/listen.ts'
import { createNotices } from '../serve/notices.ts'
import { wireOperations } from '../serve/operations-wiring.ts'
import { wireRegistry } from '../serve/registry-wiring.ts'
import { type WiredTls, wireTls } from '../serve/tls.ts'
import { trustInstructions } from '../serve/trust-instructions.ts'
import { wireWebhooks } from '../serve/webhook-wiring.ts'
import { openSession, type Session } from '../session.ts'

export const command: Command = {
  name: 'serve',
  summary: 'Serve the images of the store as a registry',
  usage: '[OPTIONS]',
  details: `Every image of the store can be pulled, and what is pushed is in the store. Several processes may serve one store.
Without users everyone may read, write and delete: make some with 'slipway user add', or listen only where that is right.
With --tls auto, clients trust this server once they have its authority's certificate; the lines to run there are printed.`,
  options: SERVE_OPTIONS,
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const { tryLoadLinux } = await import('../../linux/linux.ts')
    const { tryLoadSha256 } = await import('../../linux/sha256.ts')
    const [sender, sha256] = await Promise.all([tryLoadLinux(), tryLoadSha256()])
    using session = await openSession(args, terminal, { addsContent: true, sender, sha256 })
    const { settings } = session
    const { host, port } = parseListen(settings.listen)
    const {
      tls: tlsSettings,
      log,
      drainMs,
    } = serveSettings({
      args,
      terminal,
      config: settings.serve,
      directory: settings.configDirectory,
    })
    const notices = createNotices(terminal, log)
    const tls = await wireTls({ settings: tlsSettings, root: session.store.root, host, notices, terminal })
    const { createRegistryApp } = await import('../../registry/app.ts')
    const { startRegistry } = await import('../../registry/serve.ts')
    let address: Address = { host, port }
    await using webhooks = await wireWebhooks(session, terminal, notices, () => formatAddress(address))
    const wired = await wireRegistry(session, terminal, notices, webhooks.deps.listen)
    const collection = createCollectionMetrics()
    const collectors = [...webhooks.collectors, ...wired.collectors, collection.collect]
    const operations = wireOperations(session, terminal, { log, collectors })
    const extras = [tls?.extras, wired.extras, operations.extras].flatMap(some => some ?? [])
    const app = createRegistryApp({ ...wired, ...operations, ...webhooks.deps, extras })
    const registry = await startRegistry({ app, host, port, drainMs, ...(tls && { tls: tls.kept }) })
    address = registry.address
    const isOpen = !(await wired.isLoginWanted())
    terminal.stdout.write(greeting(registry.address, session, tls, isOpen))
    await using _collection = await startCollection(session, notices, terminal, collection)
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
const CLOSING = 'closing: transfers under way may end; a second signal cuts them\n'

function greeting(address: Address, { store }: Session, tls: WiredTls | undefined, isOpen: boolean): string {
  const { host, port } = address
  const example = exampleName(store)
  const pull = (from: string): string => `docker pull ${formatAddress({ host: from, port })}/${example}`
  const local = localAddress(address)
  const others = isEveryAddress(host) ? lanAddresses() : isLoopback(host) ? [] : [host]
  const lines = [
    `serving ${store.root} on ${tls === undefined ? 'http' : 'https'}://${formatAddress(local)}`,
    ...(isEveryAddress(host) || isLoopback(host) ? [`  from this machine:    ${pull(local.host)}`] : []),
    ...others.map(other => `  from another machine: ${pull(other)}`),
  ]
  const [other] = others
  if (other === undefined)
    lines.push(`  from another machine: not reachable; serve with --listen 0.0.0.0:${port}`)
  else if (tls === undefined)
    lines.push(
      `  This is plain HTTP, which engines elsewhere refuse: serve with --tls auto, or give each of them`,
      `  "insecure-registries": ["${formatAddress({ host: other, port })}"] in daemon.json`,
    )
  if (isOpen && other !== undefined)
    lines.push(
      `  Nobody has to log in: whoever reaches it may pull, push and delete; see 'slipway user add --help'`,
    )
  const trust =
    tls?.authority === undefined
      ? ''
      : trustInstructions(tls.authority, formatAddress({ host: other ?? local.host, port }))
  return `${lines.join('\n')}\n${trust}`
}

/** An image of our own to show in the line, if there is one. */
function exampleName({ metadata }: Session['store']): string {
  const own = metadata
    .listAllTags()
    .find(({ repository }) => parseReference(repository).registry === undefined)
  return own === undefined ? 'NAME' : `${own.repository}:${own.tag}`
}

function lanAddresses(): readonly string[] {
  return hostAddresses().filter(address => isIPv4(address) && !isLoopback(address))
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
