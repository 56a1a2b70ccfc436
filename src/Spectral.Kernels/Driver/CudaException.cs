namespace Spectral.Kernels.Driver;

/// <summary>
/// Reports a call of the driver, BLAS or solver that failed: the call, its status, and the work that it was part of.
/// </summary>
public class CudaException : Exception
{
    internal CudaException(string call, int code, string name, string text, string doing)
        : base($"{doing}: {call} returned {name} ({code}){(text.Length > 0 ? ": " + text : "")}")
    {
        Call = call;
        Code = code;
        StatusName = name;
    }

    /// <summary>Text of the call, with its arguments as written or their values.</summary>
    public string Call { get; }

    /// <summary>Status code as the library returned it (CUresult, cublasStatus_t or cusolverStatus_t).</summary>
    public int Code { get; }

    /// <summary>Symbolic name of <see cref="Code"/>, e.g. <c>CUDA_ERROR_OUT_OF_MEMORY</c>.</summary>
    public string StatusName { get; }

    /// <summary>Whether the call failed for lack of device memory.</summary>
    public bool IsOutOfMemory =>
        StatusName is "CUDA_ERROR_OUT_OF_MEMORY" or "CUBLAS_STATUS_ALLOC_FAILED" or "CUSOLVER_STATUS_ALLOC_FAILED";
}
