import { DOCKER_HUB } from '../oci/reference.ts'
import { RemoteError } from './errors.ts'

/** What the configuration says of one registry; the keys are BuildKit's. */
export interface RegistryOptions {
  /** `host[:port][/path]`, with or without `http://`, asked in this order before the registry itself, for reading only. */
  readonly mirrors?: readonly string[]
  /** True: plain HTTP. False: HTTPS even on a loopback address. */
  readonly http?: boolean
  /** HTTPS with any certificate; plain HTTP where the registry does not speak TLS. */
  readonly insecure?: boolean
}

/** By host, with the port if it has one: `docker.io`, `localhost:5000`. Mirrors have entries of their own. */
export type RegistryConfig = Readonly<Record<string, RegistryOptions>>

/** Where requests go: one registry under one scheme. */
export interface Endpoint {
  /** As the user knows it: `docker.io`, `mirror.local:5000`. Credentials are kept under it. */
  readonly host: string
  /** Up to and with `/v2/`, and the path prefix of a mirror: `https://harbor.local/v2/hub/`. */
  readonly base: URL
  /** Certificates are not checked, and redirects may lead to plain HTTP. */
  readonly insecure: boolean
  /** The registry that a mirror stands in for (the `ns` parameter of the distribution-spec). */
  readonly mirrorOf?: string
}

/** Docker Hub's API does not live under the name that people use. */
const API_HOSTS: Readonly<Record<string, string>> = { [DOCKER_HUB]: 'registry-1.docker.io' }

/** The mirrors of a registry, in order. @throws RemoteError `registry-unreachable` for what is no host */
export function mirrorEndpoints(registry: string, config: RegistryConfig): readonly Endpoint[] {
  return (optionsOf(registry, config).mirrors ?? []).map(mirror => {
    const [, scheme, rest = ''] = /^(?:(https?):\/\/)?(.*)$/.exec(mirror) ?? []
    const [host = '', ...path] = rest.split('/')
    const prefix = path.filter(part => part !== '').map(part => `${part}/`)
    const options = { ...(scheme !== undefined && { http: scheme === 'http' }), ...optionsOf(host, config) }
    return { ...endpoint(host, options, prefix.join('')), mirrorOf: registry }
  })
}

/** The registry itself. */
export function ownEndpoint(registry: string, config: RegistryConfig): Endpoint {
  return endpoint(registry, optionsOf(registry, config), '')
}

/** The same endpoint over plain HTTP: where an `insecure` registry turns out not to speak TLS. */
export function overHttp(endpoint: Endpoint): Endpoint {
  const base = new URL(endpoint.base)
  base.protocol = 'http:'
  return { ...endpoint, base }
}

/** The same endpoint over TLS: where a registry on a loopback address turns out to want it. */
export function overTls(endpoint: Endpoint): Endpoint {
  const base = new URL(endpoint.base)
  base.protocol = 'https:'
  return { ...endpoint, base }
}

/** `localhost`, 127.0.0.0/8 and ::1, where Docker too speaks plain HTTP. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host)
}

function optionsOf(host: string, config: RegistryConfig): RegistryOptions {
  return Object.hasOwn(config, host) ? (config[host] ?? {}) : {}
}

function endpoint(host: string, options: RegistryOptions, prefix: string): Endpoint {
  const scheme = (options.http ?? isLoopback(host)) ? 'http' : 'https'
  const api = API_HOSTS[host] ?? host
  const text = `${scheme}://${api}/v2/${prefix}`
  if (!/^[A-Za-z0-9.\-[\]:]+$/.test(host) || !URL.canParse(text))
    throw new RemoteError(
      'registry-unreachable',
      `Cannot use registry ${JSON.stringify(host)}: it is not a host name`,
    )
  return { host, base: new URL(text), insecure: options.insecure ?? false }
}
