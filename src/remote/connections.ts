/** Which connection a request takes: one that is kept alive, in TLS that is trusted or not, straight or through a proxy. */
import http, { type ClientRequest } from 'node:http'
import https from 'node:https'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import { refuseInternalAddresses } from './outward.ts'
import type { ChooseProxy } from './proxies.ts'
import type { Trust } from './trust.ts'
import { type ProxyServer, requestThrough, TunnelAgent } from './tunnel.ts'

export interface Routes {
  /** Without it, Node's own list of authorities. */
  readonly trust?: Trust
  /** Without it every server is asked directly. */
  readonly chooseProxy?: ChooseProxy
}

export interface ConnectionRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Accepts any certificate. */
  readonly insecure?: boolean
  /** Must not reach this machine or its metadata service: somebody else's answer named the URL. */
  readonly isOutward?: boolean
  readonly signal: AbortSignal
}

export interface Connections extends Disposable {
  /** A request that is not sent yet, over a connection that may be one of before. */
  request(request: ConnectionRequest): Promise<ClientRequest>
}

/** @param tunnelMs how long a proxy may take to open a tunnel */
export function createConnections({ trust, chooseProxy }: Routes, tunnelMs: number): Connections {
  const plain = new http.Agent({ keepAlive: true })
  const plainInTls = new https.Agent({ keepAlive: true })
  // Hosts with the same trust share an agent; a redirect may name any number of hosts.
  const agents = new Map<string, Map<SecureContext | 'unchecked' | undefined, https.Agent>>()
  const secureAgent = async (url: URL, insecure: boolean, proxy: ProxyServer | undefined) => {
    const secureContext = insecure ? 'unchecked' : await trust?.contextFor(url.host)
    const through = proxy?.url.href ?? ''
    const known = agents.get(through) ?? new Map<typeof secureContext, https.Agent>()
    agents.set(through, known)
    const agent = known.get(secureContext) ?? newAgent(secureContext, proxy)
    known.set(secureContext, agent)
    return agent
  }
  const newAgent = (trusted: SecureContext | 'unchecked' | undefined, proxy: ProxyServer | undefined) => {
    const options: ConnectionOptions =
      trusted === 'unchecked'
        ? { rejectUnauthorized: false }
        : trusted === undefined
          ? {}
          : { secureContext: trusted }
    return proxy === undefined
      ? new https.Agent({ keepAlive: true, ...options })
      : new TunnelAgent(proxy, tunnelMs, options)
  }
  const proxyFor = async (url: URL): Promise<ProxyServer | undefined> => {
    const proxy = chooseProxy?.(url)
    if (proxy?.protocol !== 'https:' || trust === undefined) return proxy && { url: proxy }
    return { url: proxy, secureContext: await trust.contextFor(proxy.host) }
  }
  return {
    async request({ url, method, headers = {}, insecure = false, isOutward = false, signal }) {
      const proxy = await proxyFor(url)
      const options = { method, headers, signal }
      if (url.protocol === 'https:' || proxy === undefined) {
        const isTls = url.protocol === 'https:'
        const agent = isTls ? await secureAgent(url, insecure, proxy) : plain
        const outgoing = (isTls ? https : http).request(url, { ...options, agent })
        // What a proxy can reach is its own business.
        if (isOutward && proxy === undefined) refuseInternalAddresses(outgoing, url)
        return outgoing
      }
      const agent = proxy.url.protocol === 'https:' ? plainInTls : plain
      return requestThrough(proxy, url, { ...options, agent })
    },
    [Symbol.dispose]() {
      const secure = [...agents.values()].flatMap(known => [...known.values()])
      for (const agent of [plain, plainInTls, ...secure]) agent.destroy()
    },
  }
}
