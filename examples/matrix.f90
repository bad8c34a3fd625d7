! SPDX-License-Identifier: BSD-3-Clause
! usage: matrix ADDRESS. A matrix of Fortran's in external memory, by iso_c_binding.
module extmem
  use, intrinsic :: iso_c_binding
  implicit none
  interface
    integer(c_int) function extmem_open(settings, x) bind(c)
      import
      type(c_ptr), intent(in) :: settings(*) ! texts that end with c_null_char; c_null_ptr
      type(c_ptr), intent(out) :: x
    end function
    integer(c_int) function extmem_region_alloc(x, name, size, region) bind(c)
      import
      type(c_ptr), value :: x
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int64_t), value :: size
      type(c_ptr), intent(out) :: region
    end function
    integer(c_int) function extmem_map(region, offset, size, address) bind(c)
      import
      type(c_ptr), value :: region
      integer(c_int64_t), value :: offset, size
      type(c_ptr), intent(out) :: address
    end function
    integer(c_int) function extmem_close(x) bind(c)
      import
      type(c_ptr), value :: x
    end function
    type(c_ptr) function extmem_error() bind(c)
      import
    end function
  end interface
contains
  subroutine check(rc) ! ends the program with the library's words
    integer(c_int), intent(in) :: rc
    character(kind=c_char), pointer :: words(:)
    integer :: n
    if (rc >= 0) return
    call c_f_pointer(extmem_error(), words, [4096])
    n = 1
    do while (words(n) /= c_null_char)
      n = n + 1
    end do
    write (0, '(4096a)') words(:n - 1)
    error stop 1, quiet=.true.
  end subroutine
end module

program matrix
  use extmem
  implicit none
  integer, parameter :: n = 1024
  character(len=256, kind=c_char), target :: appliance, local
  character(len=240) :: address
  type(c_ptr) :: x, region, memory
  real(c_double), pointer :: a(:, :)
  integer :: i

  call get_command_argument(1, address)
  appliance = 'appliance=' // trim(address) // c_null_char
  local = 'local=4M' // c_null_char
  call check(extmem_open([c_loc(appliance), c_loc(local), c_null_ptr], x))
  call check(extmem_region_alloc(x, 'matrix' // c_null_char, 8_c_int64_t * n * n, region))
  call check(extmem_map(region, 0_c_int64_t, 0_c_int64_t, memory))
  call c_f_pointer(memory, a, [n, n]) ! 8 MiB; a column lies together
  do i = 1, n
    a(:, i) = i
  end do
  print '(a, i0)', 'the sum is ', nint(sum(a))
  call check(extmem_close(x))
end program
