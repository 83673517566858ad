/* Prints how many pages Xen has free; `xl info` knows only MiB. */
#include <stdio.h>
#include <xenctrl.h>

int main(void)
{
	xc_interface *xch = xc_interface_open(NULL, NULL, 0);
	xc_physinfo_t info = {0};

	if (!xch || xc_physinfo(xch, &info)) {
		perror("free-pages");
		return 1;
	}
	printf("%llu\n", (unsigned long long)info.free_pages);
	xc_interface_close(xch);
	return 0;
}
