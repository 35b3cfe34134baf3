/** The pods whose reviews are measured: workspaces as development platforms create them, with an editor, its tools and services. */
export const pods = {
  small: pod('workspace-small', 3, 4),
  medium: pod('workspace-medium', 15, 14),
  large: pod('workspace-large', 252, 14),
} as const;

export type Size = keyof typeof pods;

export function pod(name: string, containers: number, variables: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: {
        'app.kubernetes.io/name': 'workspace',
        'app.kubernetes.io/managed-by': 'workspace-controller',
        'workspace.example.com/id': 'workspace-7f3a91c2',
        'workspace.example.com/owner': 'jdoe',
      },
      annotations: {
        'workspace.example.com/started-at': '2026-03-02T08:15:30Z',
        'workspace.example.com/url': 'https://60001-workspace-7f3a91c2.workspaces.example.com',
      },
    },
    spec: {
      securityContext: { fsGroup: 1000 },
      terminationGracePeriodSeconds: 10,
      volumes: [
        { name: 'workspace-data', emptyDir: { sizeLimit: '20Gi' } },
        { name: 'gitconfig', configMap: { name: 'gitconfig', optional: true } },
        { name: 'credentials', secret: { secretName: 'credentials', defaultMode: 288, optional: true } },
      ],
      containers: Array.from({ length: containers }, (_, index) => container(index, variables)),
    },
  };
}

/** The first container is the workspace, which asks for privileges; the others are services for it. */
function container(index: number, variables: number): object {
  const isWorkspace = index === 0;
  return {
    name: isWorkspace ? 'workspace' : `service-${index}`,
    image: `registry.example.com/development/${isWorkspace ? 'universal' : `service-${index}`}:2026.3@sha256:${'0123456789abcdef'.repeat(4)}`,
    ...(isWorkspace ? { command: ['/bin/sh', '-c', 'exec /projects/.tools/entrypoint.sh'] } : {}),
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'credentials', key: 'api-token', optional: true } } },
      ...Array.from({ length: variables }, (_, each) => ({
        name: `WORKSPACE_SETTING_${each}`,
        value: `/projects/application/settings/${index}/${each}`,
      })),
    ],
    ports: [{ name: 'http', containerPort: 8080 + index, protocol: 'TCP' }],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '2', memory: '4Gi' } },
    ...(isWorkspace ? { securityContext: { privileged: true, runAsUser: 1000 } } : {}),
    readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 10 },
    volumeMounts: [
      { name: 'workspace-data', mountPath: '/projects' },
      { name: 'gitconfig', mountPath: '/etc/gitconfig', subPath: 'gitconfig', readOnly: true },
    ],
  };
}
