/** What steps ask for names. */
export interface DnsSettings {
  readonly servers: readonly string[]
  readonly search: readonly string[]
  /** `ndots:2` */
  readonly options: readonly string[]
}

/** Whether a resolver can be reached from this machine alone. */
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/i

/** Whether a step in a network of its own can reach no resolver of `resolv.conf`, unless somebody asks it for the step. */
export function needsForwarding(machine: string, dns: DnsSettings | undefined): boolean {
  if ((dns?.servers.length ?? 0) > 0) return false
  const servers = valuesOf(machine, 'nameserver')
  return servers.length === 0 || servers.some(server => LOOPBACK.test(server))
}

/**
 * The `resolv.conf` of a step.
 * @param machine that of this machine
 * @param forwarder address of who answers for the resolver of this machine, alone
 */
export function resolvConf(
  machine: string,
  dns: DnsSettings | undefined,
  forwarder: string | undefined,
): string {
  const { servers = [], search = [], options = [] } = dns ?? {}
  if (forwarder === undefined && servers.length + search.length + options.length === 0) return machine
  const chosen = servers.length > 0 ? servers : forwarder !== undefined ? [forwarder] : undefined
  return [
    ...(chosen ?? valuesOf(machine, 'nameserver')).map(server => `nameserver ${server}`),
    ...lineOf('search', search.length > 0 ? search : valuesOf(machine, 'search')),
    ...lineOf('options', options.length > 0 ? options : valuesOf(machine, 'options')),
    '',
  ].join('\n')
}

function lineOf(keyword: string, values: readonly string[]): readonly string[] {
  return values.length === 0 ? [] : [`${keyword} ${values.join(' ')}`]
}

/** Of `search` and `options` the last line counts; each `nameserver` is one more. */
function valuesOf(text: string, keyword: string): readonly string[] {
  const lines = text
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([first]) => first === keyword || (keyword === 'search' && first === 'domain'))
    .map(([, ...values]) => values)
  return keyword === 'nameserver' ? lines.flatMap(([server]) => server ?? []) : (lines.at(-1) ?? [])
}
