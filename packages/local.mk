# SPDX-License-Identifier: BSD-3-Clause
# packages: what an operator's machine gets besides programs, and how packages are built: the
# unit of systemd with its user and folders, an example of its configuration, completion; the
# spec of an RPM. debian/ is beside it. `make check-packages` builds and tests the packages.

systemdsystemunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
examplesdir = $(docdir)/examples
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions

nodist_systemdsystemunit_DATA = packages/extmemd.service
packages/extmemd.service: packages/extmemd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packages && sed 's|[@]bindir@|$(bindir)|' '$(srcdir)/packages/extmemd.service.in' >$@
nodist_sysusers_DATA = packages/extmem.conf
packages/extmem.conf: packages/extmem.sysusers
	$(AM_V_GEN)$(MKDIR_P) packages && cp '$(srcdir)/packages/extmem.sysusers' $@
nodist_tmpfiles_DATA = packages/tmpfiles/extmem.conf
packages/tmpfiles/extmem.conf: packages/extmem.tmpfiles
	$(AM_V_GEN)$(MKDIR_P) packages/tmpfiles && cp '$(srcdir)/packages/extmem.tmpfiles' $@
dist_examples_DATA = packages/extmemd.conf

# bash looks for a file of the command's name.
xm_completed = \
	packages/completion/extmem \
	packages/completion/extmem-auth \
	packages/completion/extmem-gateway \
	packages/completion/extmemd \
	$(NULL)
$(xm_completed): packages/completion/extmem.bash
	$(AM_V_GEN)$(MKDIR_P) packages/completion && cp '$(srcdir)/packages/completion/extmem.bash' $@
nodist_bashcompletion_DATA = $(xm_completed)
dist_zshcompletion_DATA = packages/completion/_extmem

CLEANFILES += \
	packages/extmem.conf \
	packages/extmemd.service \
	packages/tmpfiles/extmem.conf \
	$(xm_completed) \
	$(NULL)
EXTRA_DIST += \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/extmem-directory.install \
	debian/extmem-gateway.install \
	debian/extmem-mount.install \
	debian/extmem.docs \
	debian/extmem.install \
	debian/extmemd.examples \
	debian/extmemd.install \
	debian/extmemd.postrm \
	debian/libextmem-appliance0.install \
	debian/libextmem-dev.examples \
	debian/libextmem-dev.install \
	debian/libextmem0.install \
	debian/nbdkit-extmem.install \
	debian/not-installed \
	debian/python3-extmem.install \
	debian/rules \
	debian/source/format \
	debian/source/options \
	debian/tests/control \
	debian/tests/program \
	packages/completion/extmem.bash \
	packages/extmem.spec \
	packages/extmem.sysusers \
	packages/extmem.tmpfiles \
	packages/extmemd.service.in \
	$(NULL)
dist_noinst_SCRIPTS += packages/check.sh

check-packages:
	@'$(abs_top_srcdir)/packages/check.sh'
.PHONY: check-packages

# An image of this build for engines of containers; none is needed to make it.
dist_noinst_SCRIPTS += packages/oci.sh
EXTRA_DIST += packages/Containerfile
oci-image: all
	@rm -rf oci-image && '$(srcdir)/packages/oci.sh' . oci-image && \
		echo "the image is the folder oci-image"
.PHONY: oci-image
