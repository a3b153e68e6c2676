/**
 * Which proxy a request goes through, as Go's programs (Docker among them) read the environment:
 *
 * ```
 * HTTPS_PROXY, HTTP_PROXY    [http://|https://][USER:PASSWORD@]HOST[:PORT], by the scheme of what is asked for
 * NO_PROXY                   *   HOST[:PORT]   .DOMAIN   *.DOMAIN   ADDRESS[:PORT]   ADDRESS/BITS, with commas between
 * ```
 * Lower case counts where upper case is not set. HOST in NO_PROXY stands for the hosts below it too. What is on this
 * machine (`localhost`, loopback addresses) is asked without a proxy.
 */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { RemoteError } from './errors.ts'

/** Undefined for a request that goes straight. @throws RemoteError `registry-unreachable` for a proxy that cannot be used */
export type ChooseProxy = (target: URL) => URL | undefined

export function proxiesOf(env: Readonly<Record<string, string | undefined>>): ChooseProxy {
  const given = (name: string): string => env[name] || env[name.toLowerCase()] || ''
  const proxies: Readonly<Record<string, string>> = {
    'http:': given('HTTP_PROXY'),
    'https:': given('HTTPS_PROXY'),
  }
  // The usual case, in which nothing of the network needs to be loaded.
  if (Object.values(proxies).every(proxy => proxy === '')) return () => undefined
  const isExempt = exemptions(given('NO_PROXY'))
  return target => {
    const proxy = proxies[target.protocol] ?? ''
    return proxy === '' || isExempt(target) ? undefined : parseProxy(proxy)
  }
}

/** Such as `proxy.example:3128`: its password is nobody's business. */
function parseProxy(text: string): URL {
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '') return url
  const what = url === null ? 'it is not HOST:PORT' : `${url.protocol.slice(0, -1)} is not http or https`
  throw new RemoteError('registry-unreachable', `Cannot use the proxy of HTTP_PROXY or HTTPS_PROXY: ${what}`)
}

function exemptions(list: string): (target: URL) => boolean {
  const entries = list
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .filter(entry => entry !== '')
  const blocks = new BlockList()
  blocks.addSubnet('127.0.0.0', 8)
  blocks.addAddress('::1', 'ipv6')
  for (const entry of entries) addSubnet(blocks, entry)
  return target => {
    const host = target.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
    const port = target.port || (target.protocol === 'https:' ? '443' : '80')
    if (host === 'localhost' || (isIP(host) !== 0 && blocks.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')))
      return true
    return entries.some(entry => matches(entry, host, port))
  }
}

function addSubnet(blocks: BlockList, entry: string): void {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? []
  const version = isIP(address)
  if (version !== 0 && Number(bits) <= (version === 6 ? 128 : 32))
    blocks.addSubnet(address, Number(bits), version === 6 ? 'ipv6' : 'ipv4')
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  if (isIP(entry) !== 0) return entry === host
  const [, named = entry, wantedPort = port] = /^(.*?):(\d+)$/.exec(entry) ?? []
  const name = named.replace(/^\[|\]$/g, '').replace(/^\*(?=\.)/, '')
  if (wantedPort !== port) return false
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`)
}
