"""A stand-in for Pulumi's Docker provider, over the Docker SDK for Python.

It serves `Network`, `Volume`, `RemoteImage` and `Container` of pulumi_docker 5.2 on a real daemon:
the one at `docker:host`, or `DOCKER_HOST`, or `unix:///var/run/docker.sock`. What is known to
differ from the official provider (pulumi-docker 5.2 over terraform-provider-docker):

- Types other than these four, and inputs that no stack of `stacks.docker` needs, are refused by
  name: no building of images, no registry logins, no contexts, no TLS material, no `ssh://`.
- A container is made in the first of its networks; the official provider makes it in the default
  network, takes it out of there, and then connects it.
- Of what Docker fills in, only `ports`, `bridge`, `hostname`, `exitCode` and `networkDatas` (of
  containers), `scope` and `ipamConfigs` (of networks), and `mountpoint` (of volumes) are outputs.
- A container that could not be brought up is kept in the state by both. The next `up` replaces it
  here; the official one first tries to update it.
- A create whose answer was lost is kept in the state here, with its name as the id. The official
  provider forgets it.
- A network or a volume that is still in use is waited for 5 seconds at its deletion, there 30.
- A refresh does not see that a container has stopped; newer official ones do, and start it.
- `wait` looks four times a second, there once; and a container that Docker calls unhealthy, or
  that has ended, is not waited for any longer.
"""
