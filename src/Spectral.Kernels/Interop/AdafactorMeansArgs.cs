namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>adafactor.cu</c>: means of squared gradients, of each row or of each column.</summary>
public struct AdafactorMeansArgs
{
    /// <summary>The kernel <c>adafactor_means_f32</c>: updates the means; one warp per line.</summary>
    public static readonly KernelEntry<AdafactorMeansArgs> Kernel = new(
        "adafactor",
        Launch.RowThreads,
        "adafactor_means_f32"
    );

    /// <summary>Device address of the gradient, F32; read: the clip factor in the state is applied.</summary>
    public ulong Gradient;

    /// <summary>Device address of the means, [Lines] F32; updated.</summary>
    public ulong Means;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of rows or columns.</summary>
    public long Lines;

    /// <summary>Number of entries of one of them.</summary>
    public long Length;

    /// <summary>Elements from a line to the next.</summary>
    public long LineStride;

    /// <summary>Elements from an entry of a line to the next.</summary>
    public long EntryStride;

    /// <summary>Power of the step's number that is the share of this step in the mean, negated.</summary>
    public float Power;
}
