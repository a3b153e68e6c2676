import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { RepositoryName } from '../../../../src/oci/reference.ts'
import type { Identity } from '../../../../src/registry/auth/identity.ts'
import { createTokenIssuer } from '../../../../src/registry/auth/issue-token.ts'
import { nameElsewhere } from '../../../../src/registry/proxy/resolve-name.ts'

const key = Buffer.alloc(32, 1)

/** Who may pull what is Docker Hub's, and nothing else. */
const visitor: Identity = {
  principal: { kind: 'anonymous' },
  fingerprint: '',
  may: (action, name) => action === 'pull' && name.startsWith('docker.io/'),
  mayListCatalog: () => false,
}

it('a token for a name of a mirror is good for the repository that is meant, as far as rights to that go', () => {
  const issuer = createTokenIssuer(key, Date.now, name => nameElsewhere(name as RepositoryName, 'docker.io'))
  const granted = (...scopes: string[]) => issuer.access(visitor, scopes).access
  const debian = [{ type: 'repository', name: 'docker.io/library/debian', actions: ['pull'] }]
  assert.deepEqual(granted('repository:library/debian:pull'), debian)
  assert.deepEqual(granted('repository:library/debian:pull,push'), debian)
  assert.deepEqual(granted('repository:docker.io/debian:pull').slice(1), debian)
  assert.deepEqual(granted('repository:a/b:push repository:library/debian:*'), debian)
  assert.deepEqual(granted('repository:ghcr.io/a/b:pull', 'registry:catalog:*'), [])
})

it('without a mirror a name means itself', () => {
  const { access } = createTokenIssuer(key, Date.now).access(visitor, ['repository:library/debian:pull'])
  assert.deepEqual(access, [])
})
