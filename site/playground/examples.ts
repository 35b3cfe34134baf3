import coder from '../../examples/coder-envbox.yaml';
import containers from '../../examples/containers.yaml';
import cronJob from '../../examples/cronjob.yaml';
import devpod from '../../examples/devpod.yaml';
import dockerInDocker from '../../examples/docker-in-docker.yaml';
import eclipseChe from '../../examples/eclipse-che.yaml';
import gitlab from '../../examples/gitlab-workspace.yaml';
import jupyterhub from '../../examples/jupyterhub.yaml';
import list from '../../examples/list.yaml';
import multiDocument from '../../examples/multi-document.yaml';
import plainPod from '../../examples/plain-pod.yaml';
import podman from '../../examples/podman.yaml';
import controlPlane from '../../examples/refused/control-plane.yaml';
import hostPath from '../../examples/refused/hostpath.yaml';
import statefulSet from '../../examples/statefulset.yaml';
import workspace from '../../examples/workspace.yaml';

/** A manifest of the folder `examples`. */
export interface Example {
  readonly title: string;
  /** Its path in the repository, which is also the file name in the report. */
  readonly file: string;
  readonly text: string;
}

/** The examples, in the order of the menu: first those of the platforms. The first one is shown to a visitor without a link. */
export const EXAMPLES: readonly Example[] = [
  { title: 'Workspace with podman', file: 'examples/workspace.yaml', text: workspace },
  { title: 'GitLab Workspaces', file: 'examples/gitlab-workspace.yaml', text: gitlab },
  { title: 'Eclipse Che', file: 'examples/eclipse-che.yaml', text: eclipseChe },
  { title: 'Coder (envbox)', file: 'examples/coder-envbox.yaml', text: coder },
  { title: 'DevPod', file: 'examples/devpod.yaml', text: devpod },
  { title: 'JupyterHub', file: 'examples/jupyterhub.yaml', text: jupyterhub },
  { title: 'Plain pod', file: 'examples/plain-pod.yaml', text: plainPod },
  { title: 'Podman in a pod', file: 'examples/podman.yaml', text: podman },
  { title: 'Docker in Docker', file: 'examples/docker-in-docker.yaml', text: dockerInDocker },
  { title: 'Several containers', file: 'examples/containers.yaml', text: containers },
  { title: 'CronJob', file: 'examples/cronjob.yaml', text: cronJob },
  { title: 'StatefulSet', file: 'examples/statefulset.yaml', text: statefulSet },
  { title: 'List', file: 'examples/list.yaml', text: list },
  { title: 'Several documents', file: 'examples/multi-document.yaml', text: multiDocument },
  { title: 'Refused: socket of the node', file: 'examples/refused/hostpath.yaml', text: hostPath },
  { title: 'Refused: control plane', file: 'examples/refused/control-plane.yaml', text: controlPlane },
];
