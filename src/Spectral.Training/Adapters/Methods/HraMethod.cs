using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>
/// HRA: the reflections as one core by the compact WY form, <c>P_1 … P_r = I − U·T·Uᵀ</c> with <c>T⁻¹ = striu(UᵀU) + ½ diag(UᵀU)</c>, which
/// normalises the u_i by itself. Pairs of equal reflections undo each other, hence the even rank.
/// </summary>
internal sealed class HraMethod : AdapterMethod
{
    private const string U = "hra_u";

    public override string Name => "hra";
    public override string Formula => "W·P_1·…·P_r, reflections P_i = I − 2·u_i·u_iᵀ/|u_i|²";
    public override string Source => "Yuan et al., 2024, arXiv 2405.17484";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Rank(8), PeftField.Bias("hra_only"), PeftField.Is("apply_GS", false), PeftField.Start("init_weights")];
    public override string Use => "Orthogonal fine-tuning at about LoRA's speed: r·in numbers a layer; the weight is read once per step.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var rank = layer.Rank;
        if (rank % 2 != 0 || rank > MatrixInverse.MaxOrder)
            throw new InputException($"rank {rank} for {layer.Module.Name}: hra starts from pairs of equal reflections, expected an even rank up to {MatrixInverse.MaxOrder}");
        var u = layer.Trained(U, (layer.In, rank), Start.KaimingUniform);
        var t = u.MatMul(u, transposeA: true).UpperTriangle(0.5).Inverse();
        return new AdapterForm { Terms = [new(layer.Weight.MatMul(u).MatMul(t), u.Transpose(), -1)] };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (var start in starts)
        {
            var u = start[U].ToArray();
            for (var i = 0; i < u.Length; i += 2)
                u[i + 1] = u[i];
            start[U].CopyFrom(u);
        }
    }
}
