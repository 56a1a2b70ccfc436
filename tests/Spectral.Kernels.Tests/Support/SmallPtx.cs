namespace Spectral.Kernels.Tests.Support;

/// <summary>PTX texts of a few lines, for tests of modules that are not the library's own.</summary>
internal static class SmallPtx
{
    public const string Header = """
        .version 8.4
        .target sm_80
        .address_size 64

        """;

    /// <summary>
    /// <c>axpy(float* y, const float* x, float a, int n)</c>: y += a x, one block of any number of threads.
    /// </summary>
    public const string Axpy =
        Header
        + """
            .visible .entry axpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
            {
                .reg .pred %p;
                .reg .f32 %a, %x, %y;
                .reg .b32 %i, %n, %step;
                .reg .b64 %to, %from, %at;
                ld.param.u64 %to, [y];
                ld.param.u64 %from, [x];
                ld.param.f32 %a, [a];
                ld.param.u32 %n, [n];
                cvta.to.global.u64 %to, %to;
                cvta.to.global.u64 %from, %from;
                mov.u32 %step, %ntid.x;
                mov.u32 %i, %tid.x;
            loop:
                setp.ge.u32 %p, %i, %n;
                @%p bra end;
                mul.wide.u32 %at, %i, 4;
                add.u64 %at, %at, %from;
                ld.global.f32 %x, [%at];
                mul.wide.u32 %at, %i, 4;
                add.u64 %at, %at, %to;
                ld.global.f32 %y, [%at];
                fma.rn.f32 %y, %a, %x, %y;
                st.global.f32 [%at], %y;
                add.u32 %i, %i, %step;
                bra loop;
            end:
                ret;
            }
            """;

    /// <summary>A kernel <c>entry(unsigned* to)</c> that stores a number.</summary>
    public static string Stores(string entry, int value) =>
        $$"""

            .visible .entry {{entry}}(.param .u64 to)
            {
                .reg .b64 %to;
                ld.param.u64 %to, [to];
                cvta.to.global.u64 %to, %to;
                st.global.u32 [%to], {{value}};
                ret;
            }
            """;
}
