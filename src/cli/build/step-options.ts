/** What steps run with. */
import { isIP } from 'node:net'
import type { BuildOptions } from '../../builder/build-options.ts'
import type { NetworkMode } from '../../builder/exec/executor.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { parseSecrets, requireSecretFiles } from './secrets.ts'

const NETWORKS: readonly NetworkMode[] = ['default', 'host', 'none']

export const STEP_OPTIONS: OptionSpecs = {
  network: { value: 'MODE', help: `Network of RUN: ${NETWORKS.join(', ')}` },
  'add-host': {
    value: 'NAME:ADDRESS',
    repeated: true,
    help: 'Add a line to /etc/hosts of RUN (or :host-gateway)',
  },
  dns: { value: 'ADDRESS', repeated: true, help: 'A resolver for RUN, instead of those of this machine' },
  'dns-search': { value: 'DOMAIN', repeated: true, help: 'Where RUN looks for names without a dot' },
  'dns-option': {
    value: 'OPTION',
    repeated: true,
    help: 'An option of resolv.conf(5) for RUN, such as ndots:2',
  },
  secret: {
    value: 'id=NAME[,src=FILE|,env=NAME]',
    repeated: true,
    help: 'A file or variable for RUN --mount=type=secret',
  },
  ssh: {
    value: 'ID[=SOCKET|KEY[,KEY]]',
    repeated: true,
    help: 'An ssh agent or keys for RUN --mount=type=ssh and Git',
  },
  isolation: {
    value: 'KIND',
    help: 'Of RUN: oci (containers, the default), or chroot where there can be none',
  },
  runtime: {
    value: 'NAME',
    help: 'OCI runtime for RUN (default: the first of crun, runc, youki that works)',
  },
}

export function readStepOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'network' | 'extraHosts' | 'dns' | 'secrets'> {
  const network = args.value('network') ?? 'default'
  if (!isNetwork(network)) throw refuse(`--network is ${NETWORKS.join(', ')}, not ${JSON.stringify(network)}`)
  const secrets = parseSecrets(args.values('secret'), terminal)
  requireSecretFiles(secrets)
  return {
    network,
    extraHosts: args
      .values('add-host')
      .flatMap(text => text.split(','))
      .map(text => readHost(text, refuse)),
    ...readDns(args, refuse),
    secrets,
  }
}

/** In resolv.conf each is a word on a line. */
const WORD = /^[^\s#;]{1,253}$/

function readDns(args: Arguments, refuse: Refuse): Pick<BuildOptions, 'dns'> {
  const [servers, search, options] = [
    args.values('dns'),
    args.values('dns-search'),
    args.values('dns-option'),
  ]
  for (const server of servers)
    if (isIP(server) === 0) throw refuse(`--dns is an IP address, not ${JSON.stringify(server)}`)
  for (const word of [...search, ...options])
    if (!WORD.test(word))
      throw refuse(`--dns-search and --dns-option are words of resolv.conf, not ${JSON.stringify(word)}`)
  return servers.length + search.length + options.length === 0 ? {} : { dns: { servers, search, options } }
}

/** What it is depends on the network of the step (docs/decisions/network-of-run.md). */
const HOST_GATEWAY = 'host-gateway'

/** `NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 address with or without brackets; as `NAME:ADDRESS`. */
function readHost(text: string, refuse: Refuse): string {
  const [, name, given = ''] = /^([^:=\s]+)[:=](.+)$/.exec(text) ?? []
  const address = given.replace(/^\[(.*)\]$/, '$1')
  if (name === undefined || (isIP(address) === 0 && address !== HOST_GATEWAY))
    throw refuse(`--add-host ${JSON.stringify(text)} is not NAME:ADDRESS with an IP address or host-gateway`)
  return `${name}:${address}`
}

/** `build.network` of the configuration, over which a flag goes; to ask there for the network of this machine allows it. */
export function withNetwork<T extends Pick<BuildOptions, 'network' | 'allow'>>(
  options: T,
  { network }: { readonly network?: NetworkMode },
): T {
  if (network === undefined) return options
  const allow = network === 'host' ? new Set([...options.allow, 'network.host' as const]) : options.allow
  return { ...options, network, allow }
}

function isNetwork(text: string): text is NetworkMode {
  return NETWORKS.some(mode => mode === text)
}
