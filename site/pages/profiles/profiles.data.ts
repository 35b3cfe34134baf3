import { backends } from '../../../src/core/profiles/index.ts';
import { makeProfile } from '../../../src/core/profiles/profile.ts';

/** The built-in profiles, from the sources. */
export const data = backends.map((backend) => {
  const profile = makeProfile(backend.id, backend, {});
  return { id: backend.id, summary: backend.summary, grant: profile.grant, wall: profile.requirementsFor(profile.grant).wall };
});

export default { load: () => data };
