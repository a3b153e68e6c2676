import type { Endpoint } from './registry-config.ts'

/** Scopes of distribution's token specification; below a mirror's prefix the name is the longer one. */
export function pullScopes(endpoint: Endpoint, path: string): readonly string[] {
  return [scope(endpoint, path, 'pull')]
}

export function pushScopes(endpoint: Endpoint, path: string): readonly string[] {
  return [scope(endpoint, path, 'pull,push')]
}

function scope(endpoint: Endpoint, path: string, actions: string): string {
  return `repository:${endpoint.base.pathname.slice('/v2/'.length)}${path}:${actions}`
}
