import { statfs } from 'node:fs/promises'
import type { Access } from '../../registry/access.ts'
import type { AppExtra } from '../../registry/app.ts'
import type { Session } from '../session.ts'
import { VERSION } from '../version.ts'

/** @param access the registry's own: who may pull a repository, sees it */
export async function wireApi({ store, settings }: Session, access?: Access): Promise<AppExtra> {
  const { apiRoutes } = await import('../../registry/api/routes.ts')
  const { inventory, metadata, content, root } = store
  return apiRoutes({
    inventory,
    metadata,
    content,
    rules: settings.policy.rules,
    ...(access && { access }),
    version: VERSION,
    async disk() {
      const { bavail, blocks, bsize } = await statfs(root)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    },
  })
}
