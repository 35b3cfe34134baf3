import containers from '../../examples/containers.yaml';
import cronJob from '../../examples/cronjob.yaml';
import dockerInDocker from '../../examples/docker-in-docker.yaml';
import list from '../../examples/list.yaml';
import multiDocument from '../../examples/multi-document.yaml';
import plainPod from '../../examples/plain-pod.yaml';
import arc from '../../examples/platforms/arc.yaml';
import che from '../../examples/platforms/che.yaml';
import coder from '../../examples/platforms/coder.yaml';
import coderEnvbox from '../../examples/platforms/coder-envbox.yaml';
import devpod from '../../examples/platforms/devpod.yaml';
import gitlab from '../../examples/platforms/gitlab.yaml';
import jupyterhub from '../../examples/platforms/jupyterhub.yaml';
import openshift from '../../examples/platforms/openshift.yaml';
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
  { title: 'GitLab Workspaces', file: 'examples/platforms/gitlab.yaml', text: gitlab },
  { title: 'Eclipse Che', file: 'examples/platforms/che.yaml', text: che },
  { title: 'Coder', file: 'examples/platforms/coder.yaml', text: coder },
  { title: 'Coder with envbox', file: 'examples/platforms/coder-envbox.yaml', text: coderEnvbox },
  { title: 'DevPod', file: 'examples/platforms/devpod.yaml', text: devpod },
  { title: 'JupyterHub', file: 'examples/platforms/jupyterhub.yaml', text: jupyterhub },
  { title: 'Actions Runner Controller', file: 'examples/platforms/arc.yaml', text: arc },
  { title: 'OpenShift', file: 'examples/platforms/openshift.yaml', text: openshift },
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
