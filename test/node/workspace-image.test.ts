import { beforeAll, describe, expect, test } from 'vitest';
import { WORKSPACE_IMAGE } from '../../tools/workspace-image.ts';
import { enter, exec, inside, leave, type Workspace } from './fixture/keep.ts';
import { PARTS, type Part } from './fixture/parts.ts';
import { plainWorkspace } from './fixture/pods.ts';
import { BENCH } from './fixture/steps.ts';
import { onNode, useNode } from './fixture/use.ts';

onNode('the workspace image', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  async function enterUnder(offer: Part['offer'], namespace: string): Promise<Workspace> {
    await ground.apiServer.createNamespace(namespace);
    const tenant = await ground.apiServer.createTenant(namespace, namespace);
    return enter(ground, tenant, namespace, plainWorkspace(WORKSPACE_IMAGE, offer));
  }

  test.each(['userns-containers', 'userns-sysadmin'] as const)('lacks nothing under %s', async (offer) => {
    const workspace = await enterUnder(offer, `whole-${offer}`);
    for (const { name, attempt } of PARTS) {
      const { code, stderr } = await exec(workspace, `cd ${BENCH} && ${attempt}`);
      expect({ name, code, stderr: code === 0 ? '' : stderr }).toEqual({ name, code: 0, stderr: '' });
    }
    await leave(workspace);
  });

  describe('without a part of it, what the page says is said:', () => {
    test.each(PARTS.map((part, index) => [part.name, part, index] as const))('%s', async (_, { offer, take, attempt, says }, index) => {
      const workspace = await enterUnder(offer, `without-part-${index}`);
      await inside(workspace, `sudo -n bash -euc '${take.replaceAll("'", `'\\''`)}'`);
      const said: string[] = [];
      const isSaid = new RegExp(says.split('...').map(RegExp.escape).join('.*'));
      // Now and then a build ends before it has passed on the last words of the process that failed.
      for (let tries = 0; tries < 3 && !said.some((text) => isSaid.test(text)); tries += 1) {
        const { code, stdout, stderr } = await exec(workspace, `cd ${BENCH} && ${attempt}`);
        expect(code).not.toBe(0);
        said.push(stdout + stderr);
      }
      expect(said.join('\n')).toMatch(isSaid);
      await leave(workspace);
    });
  });
});
